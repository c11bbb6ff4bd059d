"""Folders as .tar.gz: the same contents give the same bytes."""

from __future__ import annotations

import gzip
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from payload.errors import InputError
from payload.tarball import unpack

_EPOCH = 315532800
"""1980-01-01: the bytes depend on the contents only, not on the day."""


def pack_folder(folder: Path, target: Path) -> None:
    """Pack what is in `folder`: sorted, no times, no owners, no extra modes."""
    with (
        target.open("wb") as out,
        gzip.GzipFile(filename="", mode="wb", fileobj=out, compresslevel=9, mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for path in sorted(folder.rglob("*")):
            member = archive.gettarinfo(path, arcname=str(path.relative_to(folder)))
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            member.mtime = _EPOCH
            member.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
            if member.isreg():
                with path.open("rb") as content:
                    archive.addfile(member, content)
            else:
                archive.addfile(member)


@contextmanager
def unpacked(archive: Path) -> Iterator[Path]:
    """A folder with what is in `archive`, gone afterwards.

    Raises:
        InputError: it is no .tar.gz.
        IntegrityError: it has members that would not stay in the folder.
    """
    with tempfile.TemporaryDirectory(prefix="sealift-unpacked-") as scratch:
        try:
            with tarfile.open(archive, "r:gz") as content:
                unpack(content, Path(scratch))
        except (tarfile.TarError, EOFError, gzip.BadGzipFile) as error:
            raise InputError(
                "archive-unusable",
                f"{archive.name} cannot be unpacked",
                details=str(error),
                remedy="give a whole .tar.gz",
            ) from error
        yield Path(scratch)
