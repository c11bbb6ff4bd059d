"""Configuration files: what the vendor ships meets an operator's edits, and the edits win."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.merging import Merged, merge
from installer.steps.base import Host, Nothing, PlainStep, Step, register
from installer.steps.saved import PUT_BACK, SavedFiles, keep, owner_ids, restore, save
from installer.writing import write_file
from payload.digest import Digest, digest_bytes
from payload.effects import remove_leftovers
from payload.events import Note


@dataclass(frozen=True, slots=True)
class RenderedConfig:
    """A configuration file as this release renders it.

    `shipped` is where that text is kept for the next upgrade's merge. `base` is what the last release rendered; None
    when that is not known.
    """

    path: Path
    content: str
    mode: int
    shipped: Path
    base: str | None = None

    @property
    def digest(self) -> Digest:
        """Digest of the content."""
        return digest_bytes(self.content.encode())

    def merged(self) -> Merged:
        """What the file is to become, by what lies there now. A link of the operator's stays one."""
        found = read_config(self.path)
        return merge(found, None if self.path.is_symlink() else self.base, self.content, name=self.path.name)

    @property
    def new_default(self) -> Path:
        """Where the new default goes when it is in conflict with the operator's file."""
        return shown(self.path)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class WriteConfig(Step[SavedFiles]):
    """Write configuration, root's, readable by the group of `user`. An edited file is merged: see `installer.merging`.

    The merge is made anew when the step acts: an edit since the plan was shown is not lost.
    """

    kind: ClassVar[str] = "config"
    undo_type: ClassVar[type[Any]] = SavedFiles
    files: tuple[RenderedConfig, ...]
    user: str

    @override
    def describe(self) -> str:
        return f"write the configuration {', '.join(str(file.path) for file in self.files)}"

    @override
    def undone(self) -> str:
        return PUT_BACK

    @override
    def prepare(self, host: Host) -> SavedFiles:
        return save([path for file in self.files for path in (file.path, file.new_default)], host.scratch)

    @override
    def apply(self, host: Host, undo: SavedFiles) -> None:
        gid = owner_ids(self.user)[1]
        for file in self.files:
            _write(file, gid, host)

    @override
    def undo(self, undo: SavedFiles, host: Host) -> None:
        for file in self.files:
            remove_leftovers(file.shipped)
        restore(undo)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class KeepConfig(PlainStep):
    """Keep a copy of `paths` and of new defaults beside them, and the list of both as `listing`, for a rollback."""

    kind: ClassVar[str] = "config-keep"
    paths: tuple[Path, ...]
    listing: Path

    @override
    def describe(self) -> str:
        return f"keep a copy of the configuration in {self.listing.parent}"

    @override
    def undone(self) -> str:
        return "remove the copy"

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        both = (each for path in self.paths for each in (path, shown(path)))
        keep(save(both, self.listing.parent), self.listing)

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        """The transaction removes what a run kept when it is undone."""


def read_config(path: Path) -> str | None:
    """The text at `path`, whatever its bytes are; None if there is none."""
    return path.read_bytes().decode(errors="surrogateescape") if path.is_file() else None


def shown(path: Path) -> Path:
    """Where a new default goes when it is in conflict with the operator's file."""
    return path.with_name(f"{path.name}.new")


def _write(file: RenderedConfig, gid: int, host: Host) -> None:
    found, merged, owner = read_config(file.path), file.merged(), (0, gid)
    file.path.parent.mkdir(parents=True, exist_ok=True)
    if merged.content != found:
        write_file(file.path, merged.content.encode(errors="surrogateescape"), mode=file.mode, owner=owner)
        if found not in {None, file.base}:
            host.sink.emit(Note(f"{file.path} has your changes and those of the new default"))
    if merged.shown:
        write_file(file.new_default, file.content.encode(), mode=file.mode, owner=owner)
        host.sink.emit(Note(f"{file.path}: your lines stay; the new default is {file.new_default}", "warning"))
    else:
        file.new_default.unlink(missing_ok=True)
    file.shipped.parent.mkdir(parents=True, exist_ok=True)
    write_file(file.shipped, file.content.encode(), mode=0o600)
