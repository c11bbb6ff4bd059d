"""Laying what is in a backup beside what runs, checked once more while it is written."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from installer.backup.contents import Item, Top
from installer.backup.reader import Backup, opened
from installer.owners import group_id, user_id
from installer.steps.base import Host, Nothing, PlainStep, register
from installer.steps.saved import remove_tree
from payload.digest import Digest
from payload.effects import sync_filesystem
from payload.errors import IntegrityError
from payload.events import Advanced, stage


@dataclass(frozen=True, slots=True)
class Place:
    """The new folder that one of an archive's folders goes to. Nobody but root can reach into it."""

    top: Top
    folder: Path


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackBackup(PlainStep):
    """Unpack `archive`, whose list must still be `contents`, into new folders. What has no place stays in it."""

    kind: ClassVar[str] = "unpack-backup"
    staging: ClassVar[bool] = True
    archive: Path
    contents: Digest
    places: tuple[Place, ...]

    @override
    def describe(self) -> str:
        return f"unpack and check the backup {self.archive}"

    @override
    def undone(self) -> str:
        return "remove the folders that it was unpacked into"

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        folders = {place.top: place.folder for place in self.places}
        for folder in folders.values():
            folder.mkdir(mode=0o700)
        with opened(self.archive) as backup:
            if backup.digest != self.contents:
                raise IntegrityError("backup-changed", f"{self.archive} was replaced since it was checked")
            with stage(host.sink, self.kind, f"unpack {len(backup.files)} files", total=backup.contents.size):
                self._unpack(backup, folders, host)
        for folder in folders.values():
            sync_filesystem(folder)

    def _unpack(self, backup: Backup, folders: dict[Top, Path], host: Host) -> None:
        number = 0
        for item in backup.contents.items:
            if item.top not in folders:
                number += item.digest is not None
                continue
            path = folders[item.top] / item.path
            if item.target is not None:
                path.symlink_to(item.target)
            elif item.is_folder:
                path.mkdir(mode=0o700)
            else:
                self._write(backup, number, path, host)
                number += 1
            os.chown(path, user_id(item.user), group_id(item.group), follow_symlinks=False)
        for item in reversed(backup.contents.items):
            if item.top in folders:
                _set_mode(folders[item.top] / item.path, item)

    def _write(self, backup: Backup, number: int, path: Path, host: Host) -> None:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            for block in backup.blocks(number):
                file.write(block)
                host.sink.emit(Advanced(self.kind, len(block)))

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        for place in self.places:
            remove_tree(place.folder)


def _set_mode(path: Path, item: Item) -> None:
    """After the owner: a change of that takes bits away. Links have none."""
    if item.target is None:
        path.chmod(item.mode)
