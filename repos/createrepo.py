"""Repository metadata for a folder of RPMs: the same bytes for the same packages, readable by yum 3 and every dnf."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import createrepo_c  # type: ignore[import-untyped]

from payload.digest import digest_bytes
from payload.effects import atomic_write, fsync_dir
from payload.errors import IntegrityError
from repos.repomd import REPOMD

_CHANGELOGS = 10
_NAMES = {"updateinfo": "updateinfo.xml.gz", "group": "comps.xml", "modules": "modules.yaml.gz"}
"""The files of other documents. comps is left plain, since yum 3 reads no packed one of that name."""


def create_repository(
    folder: Path,
    *,
    revision: int,
    documents: Mapping[str, bytes] | None = None,
    fingerprint: str = "",
    without: frozenset[str] = frozenset(),
    sign: Callable[[Path], object] | None = None,
) -> int:
    """Write `folder/repodata` for all RPMs below `folder` and say how many there are.

    `revision` is the revision of the repository and the time of everything in it, in seconds since the epoch: part of
    the input, so that two runs give equal bytes. Metadata is gzip (yum 3 reads nothing newer), without databases.
    `documents` are plain texts by kind: `updateinfo`, `group`, `modules`. `fingerprint` is noted for `is_current`.
    Files whose names are in `without` are passed over. `sign` gets the path of repomd.xml, to put a signature beside
    it. An older `repodata` is replaced when the new one is complete.

    Raises:
        IntegrityError: a file named *.rpm is none.
    """
    packages = [path for path in find_packages(folder) if path.name not in without]
    with TemporaryDirectory(dir=folder, prefix=".repodata-") as name:
        staging = Path(name)
        writer = createrepo_c.RepositoryWriter(
            staging, num_packages=len(packages), changelog_limit=_CHANGELOGS, compression=createrepo_c.GZ
        )
        for package in _read_all(folder, packages, revision):
            writer.add_pkg(package)
        writer.finish()
        others = [_record(staging / "repodata", kind, text) for kind, text in sorted((documents or {}).items())]
        repomd = _repomd([*writer.repomd.records, *others], revision, fingerprint)
        atomic_write(staging / REPOMD, repomd.encode())
        if sign is not None:
            sign(staging / REPOMD)
        if (folder / "repodata").exists():
            (folder / "repodata").rename(staging / "older")
        (staging / "repodata").rename(folder / "repodata")
    fsync_dir(folder)
    return len(packages)


def find_packages(folder: Path) -> list[Path]:
    """All files named *.rpm below `folder`, in the order of their paths."""
    return sorted(folder.rglob("*.rpm"), key=str)


def is_current(folder: Path, fingerprint: str) -> bool:
    """Whether `folder/repodata` was made with that fingerprint."""
    try:
        repomd = (folder / REPOMD).read_text(encoding="utf-8")
    except OSError:
        return False
    return f"<content>{fingerprint}</content>" in repomd


def folder_fingerprint(folder: Path) -> str:
    """What tells folders apart whose files have other paths, sizes or times: cheap, for folders that only we write."""
    rows = [
        f"{path.relative_to(folder)}\t{found.st_size}\t{found.st_mtime_ns}"
        for path in find_packages(folder)
        for found in [path.stat()]
    ]
    return digest_bytes("\n".join(rows).encode())


def _read_all(folder: Path, packages: Sequence[Path], revision: int) -> Iterator[createrepo_c.Package]:
    """One after the other: the library keeps Python's lock, so that threads only get in each other's way."""
    for path in packages:
        location = str(path).removeprefix(f"{folder}/")
        try:
            package = createrepo_c.package_from_rpm(str(path), location_href=location, changelog_limit=_CHANGELOGS)
        except (createrepo_c.CreaterepoCError, OSError) as error:
            raise IntegrityError("bad-rpm", f"{path} is not a whole RPM package", details=str(error)) from error
        package.time_file = revision
        yield package


def _record(repodata: Path, kind: str, text: bytes) -> createrepo_c.RepomdRecord:
    path = repodata / _NAMES[kind]
    path.write_bytes(gzip.compress(text, mtime=0) if path.suffix == ".gz" else text)
    record = createrepo_c.RepomdRecord(kind, str(path))
    record.fill(createrepo_c.SHA256)
    record.rename_file()
    return record


def _repomd(records: Sequence[createrepo_c.RepomdRecord], revision: int, fingerprint: str) -> str:
    """repomd.xml with `revision` instead of the times of this run."""
    repomd = createrepo_c.Repomd()
    repomd.set_revision(str(revision))
    if fingerprint:
        repomd.add_content_tag(fingerprint)
    for record in records:
        record.timestamp = revision
        repomd.set_record(record)
    repomd.sort_records()
    return str(repomd.xml_dump())
