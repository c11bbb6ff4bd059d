"""The files that the portable CPython is built from: pinned by digest, so it does not matter which mirror has them."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from builder.sources.pip import pip
from payload.digest import Digest, digest_file
from payload.effects import run
from payload.errors import CommandError, ResolveError
from payload.store import Store

LIST = Path(__file__).with_name("sources.txt")
_SNAPSHOT = "https://snapshot.debian.org/archive/debian/20261120T000000Z"
"""Keeps what mirrors drop when Debian moves on."""
_APT_HELPER = "/usr/lib/apt/apt-helper"
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Source:
    """A file: its digest, and its name on PyPI (a wheel) or its place below `pool/` of a Debian archive."""

    digest: Digest
    place: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.place.rpartition("/")[2]


def sources(text: str) -> tuple[Source, ...]:
    """Read the list: a digest and a place in each line that is not a comment."""
    rows = (line.split() for line in text.splitlines() if line and not line.startswith("#"))
    return tuple(Source(f"sha256:{sha256}", place) for sha256, place in rows)


def fetch_sources(wanted: tuple[Source, ...], store: Store) -> None:
    """Bring all of `wanted` into the store.

    Raises:
        ResolveError: no archive has one of them.
    """
    missing = [source for source in wanted if not store.has(source.digest)]
    archives = list(_archives()) if missing else []

    def fetch(source: Source) -> None:
        with tempfile.TemporaryDirectory(prefix="sealift-source-") as scratch:
            file = Path(scratch, source.name)
            if source.name.endswith(".whl"):
                _from_pypi(source, Path(scratch))
            else:
                _from_debian(source, archives, file)
            if digest_file(file) != source.digest:
                raise ResolveError("source-differs", f"{source.name} is not the file that is listed")
            store.add_file(file)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(fetch, missing))


def _from_pypi(source: Source, folder: Path) -> None:
    name, version, _ = source.name.split("-", 2)
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{name}=={version} --hash={source.digest}\n", encoding="utf-8")
    options = ("download", "--no-deps", "--only-binary=:all:", "--require-hashes")
    pip([*options, "--dest", folder, "--requirement", pinned], what=f"download {source.name}")


def _from_debian(source: Source, archives: list[str], file: Path) -> None:
    reasons = []
    for archive in archives:
        url = f"{archive}/pool/{quote(source.place)}"
        try:
            run([_APT_HELPER, "-q", "download-file", url, file, source.digest.replace("sha256:", "SHA256:")])
        except CommandError as error:
            reasons.append(f"{url}: {_reason(error)}")
        else:
            return
    raise ResolveError(
        "source-missing",
        f"{source.name}, a source of the portable Python, cannot be downloaded",
        details="\n".join(reasons),
        remedy="see that apt-get update works here; or take a Python built elsewhere: `[runtime] path` or `url`",
    )


def _reason(error: CommandError) -> str:
    lines = [line for line in error.output.splitlines() if line.startswith("E:")]
    return lines[0] if lines else error.details


def _archives() -> Iterator[str]:
    """Debian's mirrors as apt is set up here, then the archive of all that ever was."""
    try:
        said = run(["apt-get", "indextargets", "--format", "$(ORIGIN) $(REPO_URI)"]).output
    except CommandError as error:
        raise ResolveError(
            "apt-missing",
            "the portable Python is built on Debian: its sources come by apt",
            details=error.details,
            remedy="build there, or take a Python built elsewhere: `[runtime] path` or `url`",
        ) from error
    found = re.findall(r"^Debian (\S+?)/?$", said, flags=re.MULTILINE)
    yield from dict.fromkeys(uri for uri in found if not uri.endswith("-security"))
    yield _SNAPSHOT
