"""The product's folders outside its release: configuration, data, logs."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Step, register
from installer.steps.saved import missing_parents, owner_ids, remove_empty, remove_tree
from payload.errors import StepError


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder to be there; `user` owns it with its group, root when None. `keep`: names that undo never removes."""

    path: Path
    mode: int
    user: str | None = None
    group_only: bool = False
    """Owned by root, with the user's group: readable by the service, not writable."""
    keep: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FolderBefore:
    """How a folder was: what it held when it was there, and which of its parents were missing when not."""

    path: Path
    existed: bool
    mode: int
    uid: int
    gid: int
    names: tuple[str, ...]
    missing: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class FoldersBefore:
    """Undo data."""

    folders: tuple[FolderBefore, ...]


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class MakeFolders(Step[FoldersBefore]):
    """Make folders with their owner and mode. Undo removes what appeared in them since: only for a first install."""

    kind: ClassVar[str] = "folders"
    undo_type: ClassVar[type[Any]] = FoldersBefore
    folders: tuple[Folder, ...]

    @override
    def describe(self) -> str:
        return f"make {', '.join(str(folder.path) for folder in self.folders)}"

    @override
    def undone(self) -> str:
        kept = [name for folder in self.folders for name in folder.keep]
        stays = f"; kept: {', '.join(kept)}" if kept else ""
        return f"remove the new ones, and what is new in the others; set mode and owner back{stays}"

    @override
    def prepare(self, host: Host) -> FoldersBefore:
        return FoldersBefore(tuple(_before(folder.path) for folder in self.folders))

    @override
    def apply(self, host: Host, undo: FoldersBefore) -> None:
        for folder in self.folders:
            uid, gid = owner_ids(folder.user) if folder.user else (0, 0)
            folder.path.mkdir(mode=folder.mode, parents=True, exist_ok=True)
            _own(folder.path, 0 if folder.group_only else uid, gid, folder.mode)

    @override
    def undo(self, undo: FoldersBefore, host: Host) -> None:
        keep = {folder.path: folder.keep for folder in self.folders}
        for before in reversed(undo.folders):
            _remove_new(before, keep.get(before.path, ()))
            if before.existed and before.path.is_dir():
                _own(before.path, before.uid, before.gid, before.mode)
            remove_empty(before.missing)


def _own(path: Path, uid: int, gid: int, mode: int) -> None:
    """Only what differs: undoing must not fail where the file system is read-only."""
    info = path.stat()
    if (info.st_uid, info.st_gid) != (uid, gid):
        os.chown(path, uid, gid)
    if stat.S_IMODE(info.st_mode) != mode:
        path.chmod(mode)


def _before(path: Path) -> FolderBefore:
    if not path.exists():
        return FolderBefore(path, False, 0, 0, 0, (), missing_parents(path))
    if not path.is_dir():
        raise StepError("not-a-folder", f"{path} is not a folder", remedy="move it away and run again")
    info = path.stat()
    names = tuple(sorted(child.name for child in path.iterdir()))
    return FolderBefore(path, True, stat.S_IMODE(info.st_mode), info.st_uid, info.st_gid, names, ())


def _remove_new(before: FolderBefore, keep: tuple[str, ...]) -> None:
    if not before.path.is_dir():
        return
    for child in before.path.iterdir():
        if child.name not in before.names and not any(child.match(pattern) for pattern in keep):
            remove_tree(child)
