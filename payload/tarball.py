"""Unpacking a tar so that nothing gets out of its folder. (tarfile's own `filter` came with Python 3.11.4.)"""

from __future__ import annotations

import os
import posixpath
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from payload.errors import IntegrityError


def unpack(archive: tarfile.TarFile, folder: Path) -> None:
    """Unpack files, folders and links within `folder`, without owners and special modes.

    Raises:
        IntegrityError: it holds something else, or something that would lie or point outside.
        tarfile.TarError, EOFError: it is no whole tar.
        OSError: the disk is full, …
    """
    archive.extractall(folder, members=_harmless(archive))  # noqa: S202 - this is the check of it


def unpack_gzip(stream: BinaryIO, folder: Path) -> None:
    """The same for a .tar.gz that is read from its start to its end."""
    with tarfile.open(fileobj=stream, mode="r|gz") as archive:
        unpack(archive, folder)


def _harmless(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    for member in archive:
        target = posixpath.join(posixpath.dirname(member.name), member.linkname) if member.issym() else ""
        kind = member.isfile() or member.isdir() or member.issym()
        if not kind or _escapes(member.name) or _escapes(posixpath.normpath(target)):
            raise IntegrityError(
                "archive-unsafe", "an archive holds something else than files of its own", details=member.name
            )
        member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
        member.mode &= 0o755
        yield member


def _escapes(name: str) -> bool:
    path = PurePosixPath(name)
    return path.is_absolute() or ".." in path.parts
