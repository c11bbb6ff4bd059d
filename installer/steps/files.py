"""Plain files: written, put back from a snapshot, or removed after the commit."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Nothing, PlainStep, Step, register
from installer.steps.saved import PUT_BACK, SavedFile, SavedFiles, remove_empty, remove_tree, restore, save
from installer.writing import write_file


@dataclass(frozen=True, slots=True)
class NewFile:
    """A file to be written; its folder is made (0755) when it is not there."""

    path: Path
    content: str
    mode: int = 0o644


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFiles(Step[SavedFiles]):
    """Write files that belong to the installer, root's."""

    kind: ClassVar[str] = "write-files"
    undo_type: ClassVar[type[Any]] = SavedFiles
    what: str
    files: tuple[NewFile, ...]

    @override
    def describe(self) -> str:
        return f"write {self.what}"

    @override
    def undone(self) -> str:
        return PUT_BACK

    @override
    def prepare(self, host: Host) -> SavedFiles:
        return save((file.path for file in self.files), host.scratch)

    @override
    def apply(self, host: Host, undo: SavedFiles) -> None:
        for file in self.files:
            file.path.parent.mkdir(parents=True, exist_ok=True)
            write_file(file.path, file.content.encode(), mode=file.mode)

    @override
    def undo(self, undo: SavedFiles, host: Host) -> None:
        restore(undo)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreFiles(Step[SavedFiles]):
    """Put files back from a snapshot that an earlier run kept."""

    kind: ClassVar[str] = "restore-files"
    undo_type: ClassVar[type[Any]] = SavedFiles
    what: str
    files: tuple[SavedFile, ...]

    @override
    def describe(self) -> str:
        return f"put back {self.what} ({len(self.files)} files)"

    @override
    def undone(self) -> str:
        return PUT_BACK

    @override
    def prepare(self, host: Host) -> SavedFiles:
        return save((file.path for file in self.files), host.scratch)

    @override
    def apply(self, host: Host, undo: SavedFiles) -> None:
        restore(SavedFiles(self.files))

    @override
    def undo(self, undo: SavedFiles, host: Host) -> None:
        restore(undo)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveTrees(PlainStep):
    """Remove folders and files for good, and a user. All of it happens after the commit: it cannot be undone."""

    kind: ClassVar[str] = "remove-trees"
    what: str
    paths: tuple[Path, ...]
    empty: tuple[Path, ...] = ()
    """Folders that go too, if they are empty then."""
    user: str | None = None

    @override
    def describe(self) -> str:
        user = f" and the user {self.user}" if self.user else ""
        return f"remove {self.what}{user}: {', '.join(map(str, self.paths))}"

    @override
    def undone(self) -> str:
        return "cannot be undone by the installer: it comes last, when all else is done"

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        """Nothing yet."""

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        """Nothing was done."""

    @override
    def cleanup(self, undo: Nothing, host: Host) -> None:
        """Here it happens."""
        if self.user and host.run(("getent", "passwd", self.user), check=False).returncode == 0:
            host.run(("userdel", self.user))
        for path in self.paths:
            remove_tree(path)
        remove_empty(self.empty)
