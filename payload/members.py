"""Taking members out of a bundle: by chunks, on all cores, each chunk checked in the pass that writes it.

Where the file system can share blocks, a raw member is cloned and then checked: the blocks are the same, and those of
the bundle may be in memory already. Memory use is bounded by the number of workers, whatever the size.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from payload.digest import Digest, digest_bytes
from payload.format import CHUNK_SIZE, aligned
from payload.frames import frame_content
from payload.index import pieces
from payload.model import Blob, Entry
from payload.volumes import OpenVolumes

WORKERS = min(4, os.cpu_count() or 1)
"""More would need more memory, and disks give no more."""
_FICLONE = 0x40049409
_FICLONERANGE = 0x4020940D
_CANNOT_CLONE = {errno.EOPNOTSUPP, errno.EXDEV, errno.EINVAL, errno.ENOTTY, errno.ENOSYS, errno.EPERM, errno.ETXTBSY}


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk: `size` stored bytes at `offset` of the bundle, which are the content from `start` on."""

    offset: int
    size: int
    digest: Digest
    codec: str
    start: int
    content_size: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """A member, the files that get its content, and those that only want it to be sound."""

    blob: Blob
    files: tuple[Entry, ...]
    checked: tuple[Entry, ...] = ()


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged range of the bundle: whose it is, and where it lies."""

    component: str
    path: str
    offset: int
    size: int

    def __str__(self) -> str:
        last = self.offset + self.size - 1
        return f"{self.component}: {self.path} at byte {self.offset} to {last}: its digest does not fit"


def pieces_of(blob: Blob) -> Iterator[Piece]:
    """The chunks of a member."""
    offset, start = blob.offset, 0
    for chunk, content in zip(blob.chunks, pieces(blob.size), strict=True):
        yield Piece(offset, chunk.size, chunk.digest, blob.codec, start, content)
        offset += chunk.size
        start += content


def content(volumes: OpenVolumes, piece: Piece) -> bytes | None:
    """The content of a chunk, or None when the chunk is damaged."""
    stored = volumes.pread(piece.size, piece.offset)
    if digest_bytes(stored) != piece.digest:
        return None
    return stored if piece.codec == "raw" else frame_content(stored, piece.content_size)


def intact(volumes: OpenVolumes, offset: int, size: int, digest: Digest) -> bool:
    """Whether that part of the bundle has that digest."""
    total = hashlib.sha256()
    for chunk in volumes.chunks(offset, size):
        total.update(chunk)
    return digest == f"sha256:{total.hexdigest()}"


@contextmanager
def workers() -> Iterator[ThreadPoolExecutor]:
    """A thread for each core; an error leaves nothing queued behind."""
    pool = ThreadPoolExecutor(WORKERS)
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(slots=True)
class Extraction:
    """Writes members below `folder`; `report` is told how many stored bytes are done, from any thread."""

    volumes: OpenVolumes
    folder: Path
    report: Callable[[int], None]
    _cannot_clone: set[int] = field(default_factory=set)

    def run(self, members: Sequence[Wanted]) -> tuple[Damage, ...]:
        """Write all files of all members, and return every damage that was met; then files are left half-written.

        Raises:
            FileExistsError: a file is there already: nothing is ever replaced.
            OSError: the disk is full, …
        """
        with workers() as pool:
            started = [(member, [*self._start(member, pool)]) for member in members]
            found = [damage for member, pending in started for damage in _damages(member, pending)]
        if not found:
            for member in members:
                self._finish(member)
        return tuple(found)

    def _start(self, member: Wanted, pool: ThreadPoolExecutor) -> Iterator[tuple[Piece, Future[bool]]]:
        if not member.files:
            for piece in pieces_of(member.blob):
                yield piece, pool.submit(self._check, piece)
            return
        path = self.folder / member.files[0].path
        path.parent.mkdir(parents=True, exist_ok=True)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            cloned = self._clone(member.blob, fd)
        finally:
            os.close(fd)
        for piece in pieces_of(member.blob):
            yield piece, pool.submit(self._check, piece) if cloned else pool.submit(self._write, piece, path)

    def _clone(self, blob: Blob, target: int) -> bool:
        """Share the member's blocks with the new file. They reach into the gap behind it: that is cut off."""
        spans = [*self.volumes.spans(blob.offset, aligned(blob.stored_size))]
        if blob.codec != "raw" or not spans or any(span.fd in self._cannot_clone for span in spans):
            return False
        for span in spans:
            order = struct.pack("qQQQ", span.fd, span.position, span.size, span.offset - blob.offset)
            try:
                fcntl.ioctl(target, _FICLONERANGE, order)
            except OSError as error:
                if error.errno not in _CANNOT_CLONE:
                    raise
                self._cannot_clone.add(span.fd)
                os.ftruncate(target, 0)
                return False
        os.ftruncate(target, blob.size)
        return True

    def _check(self, piece: Piece) -> bool:
        sound = intact(self.volumes, piece.offset, piece.size, piece.digest)
        self.report(piece.size)
        return sound

    def _write(self, piece: Piece, path: Path) -> bool:
        plain = content(self.volumes, piece)
        if plain is not None:
            fd = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                _pwrite(fd, plain, piece.start)
            finally:
                os.close(fd)
        self.report(piece.size)
        return plain is not None

    def _finish(self, member: Wanted) -> None:
        """Modes, and the other files with the same content."""
        if not member.files:
            return
        first = self.folder / member.files[0].path
        for entry in member.files[1:]:
            _copy(first, self.folder / entry.path)
        for entry in member.files:
            (self.folder / entry.path).chmod(entry.mode)


def _damages(member: Wanted, pending: Sequence[tuple[Piece, Future[bool]]]) -> Iterator[Damage]:
    """Damaged ranges of all files of a member; neighbouring chunks are one range."""
    ranges: list[tuple[int, int]] = []
    for piece, sound in pending:
        if sound.result():
            continue
        if ranges and sum(ranges[-1]) == piece.offset:
            ranges[-1] = (ranges[-1][0], ranges[-1][1] + piece.size)
        else:
            ranges.append((piece.offset, piece.size))
    for entry in (*member.files, *member.checked) if ranges else ():
        yield from (Damage(entry.component, entry.path, offset, size) for offset, size in ranges)


def _pwrite(fd: int, content: bytes, offset: int) -> None:
    left = memoryview(content)
    while left:
        done = os.pwrite(fd, left, offset)
        left, offset = left[done:], offset + done


def _copy(source: Path, target: Path) -> None:
    """A new file with the content of another, sharing its blocks where the file system can."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with source.open("rb") as content, target.open("xb") as copy:
        with suppress(OSError):
            fcntl.ioctl(copy.fileno(), _FICLONE, content.fileno())
            return
        shutil.copyfileobj(content, copy, CHUNK_SIZE)
