"""Making what an upgrade bundle does not hold from a release that is installed: copies of its files, and patched ones.

Every result is checked while it is written. A file of the installed release that was altered is so found before
anything outside the new release's folder is touched, and only when it is needed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from payload.archive import VerifiedBundle
from payload.digest import CHUNK, Digest, digest_file
from payload.errors import IntegrityError
from payload.events import Advanced, Sink
from payload.index import by_blob
from payload.members import workers
from payload.model import Borrowed, Entry, Source
from payload.patch import apply_patch

_FICLONE = 0x40049409
_ONE_PATCH = Lock()
"""Patches are applied one at a time: each needs the memory of a few segments."""


@dataclass(frozen=True, slots=True)
class Takeover:
    """From the folder `old`, which has the release that is base number `base` of `bundle`, to the folder `new`."""

    bundle: VerifiedBundle
    base: int
    old: Path
    new: Path

    def run(self, select: Callable[[Entry], bool], *, sink: Sink, stage: str) -> None:
        """Make the chosen entries. What was written before an error stays: the caller owns `new`.

        Raises:
            IntegrityError: files of the installed release are not what they were (all are listed), or the bundle is
                damaged.
            OSError: the disk is full, …
        """
        chosen = by_blob(filter(select, self.bundle.index.entries))
        wanted = [each for each in self.bundle.index.borrowed if each.digest in chosen]

        def make(content: Borrowed) -> bool:
            sound = self._make(content, chosen[content.digest])
            sink.emit(Advanced(stage, content.size))
            return sound

        with workers() as pool:
            made = list(pool.map(make, wanted))
        if not all(made):
            failed = [content for content, sound in zip(wanted, made, strict=True) if not sound]
            raise self._altered(failed, chosen)

    def _make(self, content: Borrowed, entries: list[Entry]) -> bool:
        source, target = content.sources[self.base], self.new / entries[0].path
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            fd = os.open(self.old / source.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            digest = (None if source.patch else _clone(fd, target)) or self._write(fd, source, target)
        finally:
            os.close(fd)
        if digest != content.digest:
            return False
        for entry in entries:
            path = self.new / entry.path
            if path != target:
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(target, path)
            path.chmod(entry.mode)
        return True

    def _write(self, fd: int, source: Source, target: Path) -> Digest | None:
        if source.patch is None:
            return write_digested(target, _content(fd))
        with _ONE_PATCH, self.bundle.patch(source.patch) as patch:
            try:
                return write_digested(target, apply_patch(patch, fd))
            except IntegrityError as error:
                if error.code != "patch-misfit":
                    raise
                return None

    def _altered(self, failed: list[Borrowed], chosen: dict[str, list[Entry]]) -> IntegrityError:
        base = self.bundle.index.bases[self.base]
        lines = (
            f"{self.old / content.sources[self.base].path}: for {chosen[content.digest][0].path}"
            f" ({content.size} bytes, {content.digest})"
            for content in failed
        )
        return IntegrityError(
            "base-altered",
            f"{len(failed)} files of the installed release {base.version} are missing or were changed;"
            " this upgrade needs them",
            details="\n".join(lines),
            remedy=f"use the full bundle, or repair {base.version} first with its own bundle: bash BUNDLE -o",
        )


def borrowed_entries(bundle: VerifiedBundle) -> frozenset[str]:
    """Paths of the entries that the bundle does not hold and that a base gives."""
    outside = {each.digest for each in bundle.index.borrowed if each.header is None}
    return frozenset(entry.path for entry in bundle.index.entries if entry.blob in outside)


def left_entries(bundle: VerifiedBundle) -> frozenset[str]:
    """Paths of the packages that nobody gives: they are installed on the host that the bundle is for."""
    left = bundle.index.left_to_host
    return frozenset(entry.path for entry in bundle.index.entries if entry.blob in left)


def _clone(fd: int, target: Path) -> Digest | None:
    """Share the file's blocks with a new one where the file system can, and say the digest of that."""
    with target.open("xb") as out, suppress(OSError):
        fcntl.ioctl(out.fileno(), _FICLONE, fd)
        return digest_file(target)
    target.unlink()
    return None


def _content(fd: int) -> Iterator[bytes]:
    offset = 0
    while chunk := os.pread(fd, CHUNK, offset):
        offset += len(chunk)
        yield chunk


def write_digested(target: Path, content: Iterator[bytes]) -> Digest:
    """Write a new file and say the digest of what was written. A large piece is digested while it is written.

    Raises:
        FileExistsError: there is one already.
        OSError: the disk is full, …
    """
    total = hashlib.sha256()
    with target.open("xb") as out, ThreadPoolExecutor(1) as pool:
        for chunk in content:
            if len(chunk) < CHUNK:
                total.update(chunk)
                out.write(chunk)
                continue
            digested = pool.submit(total.update, chunk)
            out.write(chunk)
            digested.result()
    return f"sha256:{total.hexdigest()}"
