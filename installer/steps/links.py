"""Commands for operators, and the one link that says which release runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Step, register
from installer.steps.files import NewFile
from installer.steps.saved import PUT_BACK, SavedFiles, restore, save
from installer.writing import write_file
from payload.effects import atomic_symlink


@dataclass(frozen=True, slots=True)
class Link:
    """`path` is to point at `target`."""

    path: Path
    target: str


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class MakeLinks(Step[SavedFiles]):
    """Make links, and write `scripts`, and remove what the product no longer has of both."""

    kind: ClassVar[str] = "links"
    undo_type: ClassVar[type[Any]] = SavedFiles
    links: tuple[Link, ...] = ()
    scripts: tuple[NewFile, ...] = ()
    remove: tuple[Path, ...] = ()

    @override
    def describe(self) -> str:
        made = [str(link.path) for link in self.links]
        made += [str(script.path) for script in self.scripts if script.mode & 0o111]
        parts = [f"make the commands {', '.join(made)}"] if made else []
        parts += [f"remove the commands {', '.join(map(str, self.remove))}"] if self.remove else []
        return "; ".join(parts)

    @override
    def undone(self) -> str:
        return PUT_BACK

    @override
    def prepare(self, host: Host) -> SavedFiles:
        scripts = (script.path for script in self.scripts)
        return save([*(link.path for link in self.links), *scripts, *self.remove], host.scratch)

    @override
    def apply(self, host: Host, undo: SavedFiles) -> None:
        for link in self.links:
            link.path.parent.mkdir(parents=True, exist_ok=True)
            atomic_symlink(link.path, link.target)
        for script in self.scripts:
            script.path.parent.mkdir(parents=True, exist_ok=True)
            write_file(script.path, script.content.encode(), mode=script.mode)
        for path in self.remove:
            path.unlink(missing_ok=True)

    @override
    def undo(self, undo: SavedFiles, host: Host) -> None:
        restore(undo)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Step[SavedFiles]):
    """Point `current` at a release by one rename."""

    kind: ClassVar[str] = "switch"
    undo_type: ClassVar[type[Any]] = SavedFiles
    current: Path
    target: str

    @override
    def describe(self) -> str:
        return f"switch {self.current} to {self.target}"

    @override
    def undone(self) -> str:
        return "point it where it pointed before, or remove it if it is new"

    @override
    def prepare(self, host: Host) -> SavedFiles:
        return save([self.current], host.scratch)

    @override
    def apply(self, host: Host, undo: SavedFiles) -> None:
        atomic_symlink(self.current, self.target)

    @override
    def undo(self, undo: SavedFiles, host: Host) -> None:
        restore(undo)
