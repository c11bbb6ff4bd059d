"""Copies of files that a step is about to change, and putting them back exactly."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from installer.writing import write_file
from payload.effects import atomic_symlink, fsync_dir, remove_leftovers
from payload.errors import IntegrityError, StepError


@dataclass(frozen=True, slots=True)
class SavedFile:
    """What was at `path`: nothing (no `copy`, no `target`), a file or a link."""

    path: Path
    copy: Path | None = None
    target: str | None = None
    mode: int = 0
    uid: int = 0
    gid: int = 0

    @property
    def absent(self) -> bool:
        """Nothing was there."""
        return self.copy is None and self.target is None


@dataclass(frozen=True, slots=True)
class SavedFiles:
    """Undo data of steps that change files. `folders` are those above them that were not there, deepest first."""

    files: tuple[SavedFile, ...] = ()
    folders: tuple[Path, ...] = ()


PUT_BACK = "put back what was there, remove what was not"
"""How steps that save files say what `restore` does."""
_LIST = TypeAdapter(SavedFiles)


def save(paths: Iterable[Path], folder: Path) -> SavedFiles:
    """Copy what is at `paths` into `folder`, durable on return.

    Raises:
        StepError: a path is a folder, a device or the like.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    saved = tuple(_save(path, folder / f"{n:03}-{path.name}") for n, path in enumerate(paths))
    fsync_dir(folder)
    missing = {above for file in saved for above in missing_parents(file.path.parent)}
    return SavedFiles(saved, tuple(sorted(missing, key=lambda above: len(above.parts), reverse=True)))


def _save(path: Path, copy: Path) -> SavedFile:
    try:
        info = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return SavedFile(path)
    if stat.S_ISLNK(info.st_mode):
        return SavedFile(path, target=str(path.readlink()), uid=info.st_uid, gid=info.st_gid)
    if not stat.S_ISREG(info.st_mode):
        raise StepError("not-a-file", f"{path} is not a plain file", remedy="move it away and run again")
    write_file(copy, path.read_bytes(), mode=0o600)
    return SavedFile(path, copy, None, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid)


def restore(saved: SavedFiles) -> None:
    """Make every path again what it was, and remove the folders that were made for them."""
    for file in saved.files:
        remove_leftovers(file.path)
        if _is_as_saved(file):  # undoing must not fail where nothing can be written, and nothing was
            continue
        if file.absent:
            file.path.unlink(missing_ok=True)
            continue
        file.path.parent.mkdir(parents=True, exist_ok=True)
        if file.target is not None:
            atomic_symlink(file.path, file.target)
        elif file.copy is not None:
            write_file(file.path, file.copy.read_bytes(), mode=file.mode, owner=(file.uid, file.gid))
    remove_empty(saved.folders)


def _is_as_saved(file: SavedFile) -> bool:
    try:
        info = file.path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return file.absent
    if file.target is not None:
        return stat.S_ISLNK(info.st_mode) and str(file.path.readlink()) == file.target
    if file.copy is None or not stat.S_ISREG(info.st_mode):
        return False
    same = (stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid) == (file.mode, file.uid, file.gid)
    return same and file.path.read_bytes() == file.copy.read_bytes()


def keep(saved: SavedFiles, listing: Path) -> None:
    """Write the list of saved files to `listing`, for a later run."""
    write_file(listing, _LIST.dump_json(saved, indent=1), mode=0o600)


def kept(listing: Path) -> SavedFiles:
    """Read what `keep` wrote.

    Raises:
        IntegrityError: it is not there, damaged, or one of its copies is gone.
    """
    try:
        saved = _LIST.validate_json(listing.read_bytes())
    except (OSError, ValidationError) as error:
        raise IntegrityError("snapshot-damaged", f"{listing} cannot be read", details=str(error)) from error
    if gone := [str(file.copy) for file in saved.files if file.copy is not None and not file.copy.is_file()]:
        raise IntegrityError("snapshot-damaged", f"copies of {listing} are gone", details="\n".join(gone))
    return saved


def owner_ids(user: str) -> tuple[int, int]:
    """Uid and gid of `user`.

    Raises:
        StepError: there is no such user.
    """
    try:
        entry = pwd.getpwnam(user)
    except KeyError as error:
        raise StepError("user-unknown", f"there is no user {user}") from error
    return entry.pw_uid, entry.pw_gid


def missing_parents(path: Path) -> tuple[Path, ...]:
    """`path` and its parents that do not exist, deepest first."""
    return tuple(each for each in (path, *path.parents) if not os.path.lexists(each))


def remove_tree(path: Path) -> None:
    """Remove a file, link or folder; nothing there is fine."""
    if path.is_symlink() or path.is_file():
        path.unlink()
    elif path.exists():
        shutil.rmtree(path)


def remove_empty(folders: Iterable[Path]) -> None:
    """Remove those of `folders` (deepest first) that are empty."""
    for folder in folders:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
