"""Repository metadata for a folder of RPMs: the same bytes for the same packages, readable by yum 3 and every dnf."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import createrepo_c  # type: ignore[import-untyped]

from payload.effects import atomic_write, fsync_dir
from payload.errors import IntegrityError

_CHANGELOGS = 10


def create_repository(folder: Path, *, revision: int) -> int:
    """Write `folder/repodata` for all RPMs below `folder` and say how many there are.

    `revision` is the revision of the repository and the time of everything in it, in seconds since the epoch: part of
    the input, so that two runs give equal bytes. Metadata is gzip (yum 3 reads nothing newer), without databases. An
    older `repodata` is replaced when the new one is complete.

    Raises:
        IntegrityError: a file named *.rpm is none.
    """
    packages = sorted(folder.rglob("*.rpm"), key=lambda path: str(path.relative_to(folder)))
    with TemporaryDirectory(dir=folder, prefix=".repodata-") as name:
        staging = Path(name)
        writer = createrepo_c.RepositoryWriter(
            staging, num_packages=len(packages), changelog_limit=_CHANGELOGS, compression=createrepo_c.GZ
        )
        for package in _read_all(folder, packages, revision):
            writer.add_pkg(package)
        writer.finish()
        atomic_write(staging / "repodata" / "repomd.xml", _repomd(writer.repomd, revision).encode())
        shutil.rmtree(folder / "repodata", ignore_errors=True)
        (staging / "repodata").rename(folder / "repodata")
    fsync_dir(folder)
    return len(packages)


def _read_all(folder: Path, packages: list[Path], revision: int) -> Iterator[createrepo_c.Package]:
    for path in packages:
        location = str(path.relative_to(folder))
        try:
            package = createrepo_c.package_from_rpm(str(path), location_href=location, changelog_limit=_CHANGELOGS)
        except (createrepo_c.CreaterepoCError, OSError) as error:
            raise IntegrityError("bad-rpm", f"{path} is not a whole RPM package", details=str(error)) from error
        package.time_file = revision
        yield package


def _repomd(written: createrepo_c.Repomd, revision: int) -> str:
    """repomd.xml with `revision` instead of the times of this run."""
    repomd = createrepo_c.Repomd()
    repomd.set_revision(str(revision))
    for record in written.records:
        record.timestamp = revision
        repomd.set_record(record)
    repomd.sort_records()
    return str(repomd.xml_dump())
