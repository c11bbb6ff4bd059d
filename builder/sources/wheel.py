"""Wheels: every dependency of an environment for the target's Python, by name, version and digest."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlsplit

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename
from pydantic import BaseModel

from builder.sources.pip import pip
from builder.sources.project import BuiltWheel, build_wheel
from builder.targets import WheelTarget
from payload.digest import Digest, hex_of
from payload.errors import ResolveError
from payload.lock import LockedWheel
from payload.manifest import Manifest
from payload.store import Store
from payload.version import parse_version

PIP = "pip>=25"
"""What installs the wheels on the target travels with them."""


@dataclass(frozen=True, slots=True)
class Environment:
    """A Python environment of the product: what the manifest wants in it."""

    name: str
    """`server`, `agents/NAME` or `tools`."""
    requirements: tuple[str, ...]
    dependencies: bool = True

    @property
    def projects(self) -> tuple[str, ...]:
        """The local projects among its requirements."""
        return tuple(item for item in self.requirements if is_project(item))


def is_project(requirement: str) -> bool:
    """Whether the requirement is a local project's path."""
    return requirement == "." or requirement.startswith(("./", "../"))


def environments(manifest: Manifest) -> tuple[Environment, ...]:
    """The environments of the product, and the one of pip itself."""
    agents = (Environment(f"agents/{agent.name}", (agent.requirement,)) for agent in manifest.agents)
    return (
        Environment("server", manifest.server.requirements),
        *agents,
        Environment("tools", (PIP,), dependencies=False),
    )


def lock_wheels(
    environment: Environment, *, folder: Path, target: WheelTarget, store: Store
) -> tuple[LockedWheel, ...]:
    """The wheels of `environment`, sorted by name. Local projects of the manifest's `folder` are built into the store.

    Raises:
        ResolveError: something cannot be resolved or built.
    """
    built = [build_wheel(folder / project, target=target, store=store) for project in environment.projects]
    with tempfile.TemporaryDirectory(prefix="sealift-lock-") as scratch:
        wanted = [item for item in environment.requirements if not is_project(item)]
        wanted += [str(_named(store, wheel, Path(scratch))) for wheel in built]
        options = ["install", "--dry-run", "--ignore-installed", "--report", "-", *target.options]
        if not environment.dependencies:
            options.append("--no-deps")
        what = f"resolve the wheels of {environment.name}"
        report = pip([*options, "--", *wanted], interpreter=target.interpreter, what=what)
    return parse_report(report, environment.name, {wheel.filename: wheel for wheel in built})


def _named(store: Store, wheel: BuiltWheel, folder: Path) -> Path:
    """The wheel under its own name: pip reads a wheel's name and tags from its file name."""
    path = folder / wheel.filename
    path.symlink_to(store.path(wheel.digest).absolute())
    return path


class _Archive(BaseModel):
    hashes: dict[str, str] = {}


class _Download(BaseModel):
    url: str
    archive_info: _Archive = _Archive()


class _Metadata(BaseModel):
    name: str
    version: str


class _Item(BaseModel):
    download_info: _Download
    metadata: _Metadata


class _Report(BaseModel):
    version: Literal["1"]
    install: tuple[_Item, ...]


def parse_report(text: str, environment: str, built: Mapping[str, BuiltWheel]) -> tuple[LockedWheel, ...]:
    """Read the report of `pip install --report`; `built` are the wheels of local projects by file name.

    Raises:
        ResolveError: an item is no wheel, or its index tells no SHA-256 of it.
    """
    report = _Report.model_validate_json(text)
    wheels = (_locked(item, environment, built) for item in report.install)
    return tuple(sorted(wheels, key=lambda wheel: wheel.name))


def _locked(item: _Item, environment: str, built: Mapping[str, BuiltWheel]) -> LockedWheel:
    filename = unquote(urlsplit(item.download_info.url).path.rpartition("/")[2])
    try:
        parse_wheel_filename(filename)
    except InvalidWheelFilename as error:
        raise ResolveError(
            "wheel-missing", f"{item.metadata.name} has no wheel for the target", details=str(error)
        ) from error
    own = built.get(filename)
    sha256 = item.download_info.archive_info.hashes.get("sha256")
    if own is None and sha256 is None:
        raise ResolveError(
            "digest-missing",
            f"the index tells no SHA-256 digest of {filename}",
            remedy="use an index that publishes digests",
        )
    return LockedWheel(
        environment=environment,
        name=canonicalize_name(item.metadata.name),
        version=parse_version(item.metadata.version),
        filename=filename,
        digest=own.digest if own else f"sha256:{sha256}",
        source="path" if own else "index",
        sources=own.sources if own else None,
    )


def requirement_lines(wheels: Iterable[LockedWheel]) -> Iterator[str]:
    """The lines of a requirements file that admits exactly these wheels."""
    for wheel in sorted(wheels, key=lambda wheel: wheel.name):
        yield f"{wheel.name}=={wheel.version} --hash=sha256:{hex_of(wheel.digest)}\n"


def fetch_wheels(wheels: Sequence[LockedWheel], *, target: WheelTarget, store: Store) -> None:
    """Bring wheels of the index, of one environment, into the store.

    Raises:
        ResolveError: the index does not have one of them any more.
    """
    with tempfile.TemporaryDirectory(prefix="sealift-fetch-") as scratch:
        pinned, out = Path(scratch, "requirements.txt"), Path(scratch, "wheels")
        pinned.write_text("".join(requirement_lines(wheels)), encoding="utf-8")
        options = ["download", "--no-deps", "--require-hashes", *target.options]
        options += ["--dest", str(out), "--requirement", str(pinned)]
        pip(options, interpreter=target.interpreter, what="download the locked wheels")
        found: set[Digest] = {store.add_file(path) for path in out.iterdir()}
    missing = [wheel.filename for wheel in wheels if wheel.digest not in found]
    if missing:
        raise ResolveError(
            "wheel-missing", "the index gave other files than the lock names", details="\n".join(missing)
        )
