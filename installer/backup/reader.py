"""Reading an archive that may be anything. Its members are plain files, in the order of its signed list, and no other.

The tar is read header by header: what tar has besides files (links, devices, sparse files, records that change the next
header) is refused where it stands. Nothing is compressed, so nothing grows.
"""

from __future__ import annotations

import os
import stat
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pydantic import ValidationError

from installer.backup.contents import CONTENTS_NAME, SIGNATURE_NAME, Contents, Item
from installer.backup.keys import damaged, signer
from payload.digest import CHUNK, Digest, digest_bytes
from payload.errors import UsageError
from payload.events import Advanced, Sink, stage
from payload.members import workers
from payload.trust import PublicKey

_BLOCK = tarfile.BLOCKSIZE
_MAX_LIST = 1 << 26
_MAX_NAME = 1 << 13
_STAGE = "check-backup"


@dataclass(frozen=True, slots=True)
class _Member:
    name: str
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Backup:
    """An archive whose list was signed by `key`. Its contents are believed only after they were compared with it."""

    fd: int
    contents: Contents
    digest: Digest
    """Of the list."""
    key: PublicKey
    files: tuple[Item, ...]
    """Those of `contents`."""
    offsets: tuple[int, ...]
    """Where the content of each of `files` begins."""

    def blocks(self, number: int) -> Iterator[bytes]:
        """The content of file `number`.

        Raises:
            IntegrityError: at its end, if it is not what the list says.
        """
        item, offset = self.files[number], self.offsets[number]
        digest, left = sha256(), item.size
        while left and (block := os.pread(self.fd, min(CHUNK, left), offset + item.size - left)):
            digest.update(block)
            left -= len(block)
            yield block
        if left or f"sha256:{digest.hexdigest()}" != item.digest:
            raise damaged(f"{item.name} is not what was signed")


@contextmanager
def opened(path: Path) -> Iterator[Backup]:
    """The archive at `path`, with its list checked.

    Raises:
        UsageError: it cannot be opened.
        IntegrityError: it is damaged, or holds what no backup does.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError("backup-unreadable", f"cannot read {path}: {error.strerror}") from error
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise UsageError("backup-unreadable", f"{path} is no file")
        yield _open(fd)
    finally:
        os.close(fd)


def check_files(backup: Backup, sink: Sink) -> None:
    """Compare every content with the list, by all processors.

    Raises:
        IntegrityError: one differs.
    """

    def check(number: int) -> None:
        for block in backup.blocks(number):
            sink.emit(Advanced(_STAGE, len(block)))

    text = f"check {len(backup.offsets)} files of the backup"
    with stage(sink, _STAGE, text, total=backup.contents.size), workers() as pool:
        list(pool.map(check, range(len(backup.offsets))))


def _open(fd: int) -> Backup:
    members = list(_members(fd))
    if [member.name for member in members[-2:]] != [CONTENTS_NAME, SIGNATURE_NAME]:
        raise damaged("it does not end with its list of contents and a signature")
    text, signature = (_read(fd, member.offset, member.size, _MAX_LIST) for member in members[-2:])
    key = signer(text, signature)
    try:
        contents = Contents.model_validate_json(text)
    except ValidationError as error:
        raise damaged(f"its list of contents: {error.errors()[0]['msg']}") from error
    files, found = contents.files, [(member.name, member.size) for member in members[:-2]]
    if found != [(item.name, item.size) for item in files]:
        raise damaged("its members are not those of its list")
    return Backup(fd, contents, digest_bytes(text), key, files, tuple(member.offset for member in members[:-2]))


def _members(fd: int) -> Iterator[_Member]:
    """Every member, each with where its content begins.

    Raises:
        IntegrityError: something else than a plain file is there, or the file ends too early.
    """
    at, end, long_name = 0, os.fstat(fd).st_size, ""
    while any(header := _read(fd, at, _BLOCK, _BLOCK)):
        info = _header(header)
        begin = at + _BLOCK
        at = begin + -(-info.size // _BLOCK) * _BLOCK
        if info.size < 0 or at > end:
            raise damaged(f"it ends within {info.name!r}")
        if any(_read(fd, begin + info.size, -info.size % _BLOCK, _BLOCK)):
            raise damaged(f"something follows the end of {info.name!r}")
        if info.type == tarfile.GNUTYPE_LONGNAME and not long_name:
            long_name = _read(fd, begin, info.size, _MAX_NAME).rstrip(b"\0").decode(errors="replace")
        elif info.type == tarfile.REGTYPE:
            yield _Member(long_name or info.name, begin, info.size)
            long_name = ""
        else:
            raise damaged(f"{info.name!r} is no plain file (type {info.type!r})")
    if long_name or end - at > tarfile.RECORDSIZE + _BLOCK or any(_read(fd, at, end - at, 2 * tarfile.RECORDSIZE)):
        raise damaged("something follows its end")


def _header(block: bytes) -> tarfile.TarInfo:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "replace")
    except tarfile.HeaderError as error:
        raise damaged(f"it is no tar: {error}") from error


def _read(fd: int, offset: int, size: int, most: int) -> bytes:
    content = os.pread(fd, size, offset) if size <= most else b""
    if len(content) != size:
        raise damaged("it is cut off, or a part of it is larger than any backup's")
    return content
