"""What of the host goes into an archive. The data folder belongs to the product's user: no link in it is followed."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from pydantic import ValidationError

from installer.backup.contents import Item, Top
from installer.owners import group_name, user_name
from payload.errors import UsageError
from payload.events import Note, Sink

_SQLITE = b"SQLite format 3\0"
_SQLITE_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class Tree:
    """A folder that goes in as `top`, without the paths `skip` below it."""

    top: Top
    folder: Path
    skip: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Found:
    """A folder or link (`item` is all of it), or a file: `fd` is open for reading then, until the next one is asked
    for. `database`: it is one of SQLite's, so its bytes alone say nothing."""

    item: Item
    path: Path
    fd: int | None = None
    database: bool = False


def walk(tree: Tree, sink: Sink) -> Iterator[Found]:
    """Everything below a tree, folders before what is in them. What is no file, folder or link is left out, and said.

    Raises:
        UsageError: a name cannot stand in an archive.
    """
    if not tree.folder.is_dir():
        return
    for at, folders, names, fd in os.fwalk(tree.folder, follow_symlinks=False):
        here = PurePosixPath(Path(at).relative_to(tree.folder))
        folders[:] = sorted(name for name in folders if str(here / name) not in tree.skip)
        databases = {name for name in names if _is_database(name, fd)}
        beside = {f"{name}{suffix}" for name in databases for suffix in _SQLITE_BESIDE}
        for name in (*folders, *sorted(set(names) - beside)):
            if str(here / name) not in tree.skip:
                yield from _look(tree, here / name, name, fd, sink, database=name in databases)


def _look(tree: Tree, path: PurePosixPath, name: str, folder: int, sink: Sink, *, database: bool) -> Iterator[Found]:
    full = tree.folder / path
    try:
        info = os.stat(name, dir_fd=folder, follow_symlinks=False)
        target = os.readlink(name, dir_fd=folder) if stat.S_ISLNK(info.st_mode) else None
        fd = _open(name, folder) if stat.S_ISREG(info.st_mode) else None
    except FileNotFoundError:
        sink.emit(Note(f"{full} went away meanwhile, and is not in the backup", "warning"))
        return
    if fd is None:
        if target is None and not stat.S_ISDIR(info.st_mode):
            sink.emit(Note(f"{full} is no file, and is not in the backup", "warning"))
            return
        yield Found(_item(tree.top, path, info, full, target), full)
        return
    try:
        yield Found(_item(tree.top, path, os.fstat(fd), full), full, fd, database)
    finally:
        os.close(fd)


def _item(top: Top, path: PurePosixPath, info: os.stat_result, full: Path, target: str | None = None) -> Item:
    user, group = user_name(info.st_uid), group_name(info.st_gid)
    mode = stat.S_IMODE(info.st_mode)
    try:
        str(path).encode()
        return Item(top=top, path=str(path), mode=mode, user=user, group=group, target=target)
    except (ValidationError, UnicodeEncodeError) as error:
        raise UsageError(
            "name-not-storable",
            f"{str(full)!r} cannot stand in a backup",
            details=str(error),
            remedy="give it, its owner or what it points at another name, or move it elsewhere",
        ) from error


def _is_database(name: str, folder: int) -> bool:
    try:
        if not stat.S_ISREG(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            return False
        fd = _open(name, folder)
    except FileNotFoundError:
        return False
    try:
        return os.read(fd, len(_SQLITE)) == _SQLITE
    finally:
        os.close(fd)


def _open(name: str, folder: int) -> int:
    return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
