"""Writing an archive: every file as it is, databases as SQLite copies them, then the list of all, signed."""

from __future__ import annotations

import os
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO

from installer.backup.contents import CONTENTS_NAME, SIGNATURE_NAME, Contents, Item
from installer.backup.keys import sign
from installer.backup.walk import Found, Tree, walk
from installer.newfile import created
from installer.steps.database import back_up
from payload.digest import CHUNK
from payload.effects import fsync_dir
from payload.errors import UsageError
from payload.events import Advanced, Sink, stage
from payload.signing import PrivateKey

_STAGE = "backup"
_TRIES = 3


def write(
    path: Path, about: Contents, trees: Sequence[Tree], key: PrivateKey, sink: Sink, *, scratch: Path
) -> Contents:
    """Write `path`, which must not be there yet, readable by its owner only: whole, or not at all.

    `about` is the list without its items; `scratch` a folder of root's for copies of databases.

    Raises:
        UsageError: the file cannot be made, or what goes in changes all the time.
        StepError: a database is damaged.
    """
    with (
        created(path, code="backup-unwritable", remedy="name a new file, in a folder that has room") as file,
        stage(sink, _STAGE, f"back up to {path}"),
        tempfile.TemporaryDirectory(prefix=".backup-", dir=scratch) as copies,
    ):
        archive = _Archive(file, Path(copies), sink)
        items = tuple(archive.add(each) for tree in trees for each in walk(tree, sink))
        contents = Contents.model_validate(about.model_copy(update={"items": items}).model_dump())
        text = contents.to_bytes()
        archive.add_text(CONTENTS_NAME, text, contents.created)
        archive.add_text(SIGNATURE_NAME, sign(text, key), contents.created)
        archive.end()
    fsync_dir(path.parent)
    return contents


@dataclass(frozen=True, slots=True)
class _Archive:
    """A tar under way, in `file`; `copies` is a folder for copies of databases."""

    file: IO[bytes]
    copies: Path
    sink: Sink

    def add(self, found: Found) -> Item:
        """Put one thing in, and say what it is. A file that gets shorter while it is read is read anew."""
        if found.fd is None:
            return found.item
        if found.database:
            return self._add_database(found, found.item)
        for _ in range(_TRIES):
            if (item := self._copy(found.item, found.fd)) is not None:
                return item
        raise _changing(found.path)

    def add_text(self, name: str, text: bytes, created: int) -> None:
        """Put a text of the archive's own in."""
        self.file.write(_header(name, len(text), created) + text + _padding(len(text)))

    def end(self) -> None:
        """Write what ends a tar, durably."""
        self.file.write(bytes(2 * tarfile.BLOCKSIZE))
        self.file.flush()
        os.fsync(self.file.fileno())

    def _add_database(self, found: Found, like: Item) -> Item:
        copy = self.copies / "database"
        back_up(found.path, copy)
        try:
            with copy.open("rb") as file:
                item = self._copy(like, file.fileno())
        finally:
            copy.unlink()
        if item is None:
            raise _changing(found.path)
        return item

    def _copy(self, item: Item, fd: int) -> Item | None:
        """Write header and content; None, and nothing written, if the file ended before the size that it had."""
        begin, info = self.file.tell(), os.fstat(fd)
        self.file.write(_header(item.name, info.st_size, int(info.st_mtime)))
        digest, done = sha256(), 0
        while done < info.st_size and (block := os.pread(fd, min(CHUNK, info.st_size - done), done)):
            self.file.write(block)
            digest.update(block)
            done += len(block)
            self.sink.emit(Advanced(_STAGE, len(block)))
        if done < info.st_size:
            self.file.seek(begin)
            self.file.truncate()
            return None
        self.file.write(_padding(done))
        return item.model_copy(update={"size": done, "digest": f"sha256:{digest.hexdigest()}"})


def _header(name: str, size: int, mtime: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, max(0, mtime)
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "strict")


def _padding(size: int) -> bytes:
    return bytes(-size % tarfile.BLOCKSIZE)


def _changing(path: Path) -> UsageError:
    return UsageError("data-changing", f"{path} changes while it is read", remedy="stop the product, and back up then")
