"""The bundle's own Python, beside the release's other files: nothing of the host's is used or changed."""

from __future__ import annotations

import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from installer.steps.base import Host, Nothing, PlainStep, register
from installer.steps.saved import remove_tree
from payload.effects import sync_filesystem
from payload.model import PYTHON_FOLDER
from payload.tarball import unpack


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class UnpackPython(PlainStep):
    """Unpack `archive`, which the release brought and verified, to `python`, anew."""

    kind: ClassVar[str] = "python"
    staging: ClassVar[bool] = True
    archive: Path
    python: Path

    @override
    def describe(self) -> str:
        return f"unpack the product's own Python into {self.python}"

    @override
    def undone(self) -> str:
        return "remove it"

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        self._remove()
        with tarfile.open(self.archive, "r:gz") as archive:
            unpack(archive, self._partial)
        (self._partial / PYTHON_FOLDER).rename(self.python)
        self._partial.rmdir()
        sync_filesystem(self.python)

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        self._remove()

    def _remove(self) -> None:
        remove_tree(self._partial)
        remove_tree(self.python)

    @property
    def _partial(self) -> Path:
        return self.python.with_name(f".{self.python.name}.new")
