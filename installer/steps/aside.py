"""A folder of the release that another step makes anew, kept until the commit."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.mounts import mounted_within, mountinfo, way_out
from installer.steps.base import Host, Step, register
from installer.steps.saved import remove_tree
from payload.effects import fsync_dir
from payload.errors import StepError


@dataclass(frozen=True, slots=True)
class AsideBefore:
    """Was there something to be moved?"""

    existed: bool


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside(Step[AsideBefore]):
    """Move `path` away, beside where it lies. Undo moves it back in place of whatever is there then."""

    kind: ClassVar[str] = "aside"
    undo_type: ClassVar[type[Any]] = AsideBefore
    path: Path

    @override
    def describe(self) -> str:
        return f"set {self.path} aside"

    @override
    def undone(self) -> str:
        return "move it back"

    @override
    def prepare(self, host: Host) -> AsideBefore:
        if found := mounted_within((self.path.resolve(),), mountinfo()):
            raise StepError(
                "mounted-inside",
                f"something is mounted in {self.path}: it cannot be moved, and would be removed with it",
                details="\n".join(map(str, found)),
                remedy=f"{way_out(found)}; then run the same command again",
            )
        if os.path.lexists(self._aside):
            raise StepError("aside-exists", f"{self._aside} is there already", remedy="move it away and run again")
        return AsideBefore(os.path.lexists(self.path))

    @override
    def apply(self, host: Host, undo: AsideBefore) -> None:
        if undo.existed:
            self.path.rename(self._aside)
            fsync_dir(self.path.parent)

    @override
    def undo(self, undo: AsideBefore, host: Host) -> None:
        if undo.existed and os.path.lexists(self._aside):
            remove_tree(self.path)
            self._aside.rename(self.path)
            fsync_dir(self.path.parent)

    @override
    def cleanup(self, undo: AsideBefore, host: Host) -> None:
        remove_tree(self._aside)

    @property
    def _aside(self) -> Path:
        return self.path.with_name(f".{self.path.name}.aside")
