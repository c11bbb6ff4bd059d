"""Configuration files: rendered defaults meet an operator's edits, and the edits win."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from typing_extensions import override

from installer.steps.base import Host, Nothing, Step, register
from installer.steps.saved import SavedFiles, keep, owner_ids, restore, save
from payload.digest import Digest, digest_bytes
from payload.effects import atomic_write
from payload.events import Note

Choice = Literal["write", "keep", "keep-and-show"]


@dataclass(frozen=True, slots=True)
class RenderedConfig:
    """A configuration file as this release renders it. `before`: digest of what the last release rendered."""

    path: Path
    content: str
    mode: int
    before: Digest | None = None

    @property
    def digest(self) -> Digest:
        """Digest of the content."""
        return digest_bytes(self.content.encode())


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class WriteConfig(Step[SavedFiles]):
    """Write configuration, root's, readable by the group of `user`. An edited file stays; see `choose`."""

    kind: ClassVar[str] = "config"
    undo_type: ClassVar[type[Any]] = SavedFiles
    files: tuple[RenderedConfig, ...]
    user: str

    @override
    def describe(self) -> str:
        return f"write the configuration {', '.join(str(file.path) for file in self.files)}"

    @override
    def prepare(self, host: Host) -> SavedFiles:
        return save([path for file in self.files for path in (file.path, shown(file.path))], host.scratch)

    @override
    def apply(self, host: Host, undo: SavedFiles) -> None:
        gid = owner_ids(self.user)[1]
        for file in self.files:
            _write(file, gid, host)

    @override
    def undo(self, undo: SavedFiles, host: Host) -> None:
        restore(undo)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class KeepConfig(Step[Nothing]):
    """Keep a copy of `paths` and of new defaults beside them, and the list of both as `listing`, for a rollback."""

    kind: ClassVar[str] = "config-keep"
    paths: tuple[Path, ...]
    listing: Path

    @override
    def describe(self) -> str:
        return f"keep a copy of the configuration in {self.listing.parent}"

    @override
    def prepare(self, host: Host) -> Nothing:
        return Nothing()

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        both = (each for path in self.paths for each in (path, shown(path)))
        keep(save(both, self.listing.parent), self.listing)

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        """The transaction removes what a run kept when it is undone."""


def choose(found: Digest | None, before: Digest | None, new: Digest) -> Choice:
    """What becomes of a file with digest `found` (None: it is not there).

    `before` is what was rendered last, None when this installer never rendered it. An edited file is kept; when the
    default changed too, the new one is shown beside it.
    """
    if found is None or (found == before and found != new):
        return "write"
    if new in {found, before}:
        return "keep"
    return "keep-and-show"


def shown(path: Path) -> Path:
    """Where a new default goes when the operator's file stays."""
    return path.with_name(f"{path.name}.new")


def _write(file: RenderedConfig, gid: int, host: Host) -> None:
    found = digest_bytes(file.path.read_bytes()) if file.path.is_file() else None
    choice = choose(found, file.before, file.digest)
    file.path.parent.mkdir(parents=True, exist_ok=True)
    if choice == "write":
        atomic_write(file.path, file.content.encode(), mode=file.mode, owner=(0, gid))
    if choice == "keep-and-show":
        atomic_write(shown(file.path), file.content.encode(), mode=file.mode, owner=(0, gid))
        host.sink.emit(Note(f"{file.path} was edited and stays; the new default is {shown(file.path)}", "warning"))
    else:
        shown(file.path).unlink(missing_ok=True)
