"""A folder whose contents are replaced as a whole, by renames, while the folder itself stays."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Step, register
from installer.steps.saved import remove_tree
from payload.effects import fsync_dir

_SQLITE_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class NamesBefore:
    """What the folder held."""

    old: tuple[str, ...]


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class SwapContents(Step[NamesBefore]):
    """Put everything that is in `new` into `folder`; what was there goes to `aside` until the commit, but for `keep`.

    `new` and `aside` are on the file system of `folder`. Nothing may write there meanwhile. Undo also removes what
    appeared since: it belongs to what is taken away.
    """

    kind: ClassVar[str] = "swap"
    redone_from: ClassVar[frozenset[str]] = frozenset({"unpack-backup"})
    undo_type: ClassVar[type[Any]] = NamesBefore
    folder: Path
    new: Path
    aside: Path
    keep: tuple[str, ...] = ()

    @override
    def describe(self) -> str:
        return f"replace what is in {self.folder}"

    @override
    def undone(self) -> str:
        return "remove what is new, and put back what was there"

    @override
    def prepare(self, host: Host) -> NamesBefore:
        return NamesBefore(tuple(sorted(self._names())))

    @override
    def apply(self, host: Host, undo: NamesBefore) -> None:
        self.aside.mkdir(mode=0o700)
        _move(undo.old, self.folder, self.aside)
        _move(sorted(path.name for path in self.new.iterdir()), self.new, self.folder)

    @override
    def undo(self, undo: NamesBefore, host: Host) -> None:
        if not self.aside.is_dir():  # nothing was moved, or all of it is back
            return
        moved = {path.name for path in self.aside.iterdir()}
        stayed = set(undo.old) - moved
        stayed |= {f"{name}{suffix}" for name in stayed for suffix in _SQLITE_BESIDE}
        for name in self._names():
            if name not in stayed:
                remove_tree(self.folder / name)
        _move(sorted(moved), self.aside, self.folder)
        self.aside.rmdir()

    @override
    def cleanup(self, undo: NamesBefore, host: Host) -> None:
        remove_tree(self.aside)
        remove_tree(self.new)

    def _names(self) -> set[str]:
        hidden = {*self.keep, self.new.name, self.aside.name}
        return {path.name for path in self.folder.iterdir()} - hidden


def _move(names: Iterable[str], source: Path, target: Path) -> None:
    for name in names:
        (source / name).rename(target / name)
    fsync_dir(source)
    fsync_dir(target)
