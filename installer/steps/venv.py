"""The server's Python environment, from the wheels in the release only."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from installer.steps.base import Host, Nothing, PlainStep, register
from installer.steps.saved import remove_tree
from payload.effects import sync_filesystem

_QUIET = (
    "--no-input",
    "--disable-pip-version-check",
    "--no-cache-dir",
    "--no-compile",
    "--isolated",
    "--root-user-action=ignore",
)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class MakeVenv(PlainStep):
    """Make `venv` anew: hash-checked wheels, no index, no network. It lies in the release, beside what runs."""

    kind: ClassVar[str] = "venv"
    staging: ClassVar[bool] = True
    venv: Path
    wheels: Path
    requirements: Path
    pip: Path
    python: str

    @override
    def describe(self) -> str:
        return f"make the Python environment {self.venv}"

    @override
    def undone(self) -> str:
        return "remove it"

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        remove_tree(self.venv)
        host.run((self.python, "-m", "venv", "--without-pip", str(self.venv)))
        python = str(self.venv / "bin/python")
        pip = (python, f"{self.pip}/pip", "install", *_QUIET)
        wheels = ("--no-index", "--find-links", str(self.wheels), "--only-binary", ":all:", "--require-hashes")
        host.run((*pip, *wheels, "-r", str(self.requirements)))
        # By all processors, where pip uses one. As with pip, a file that does not compile is the package's own affair.
        host.run((python, "-m", "compileall", "-q", "-j", "0", str(self.venv / "lib")), check=False)
        sync_filesystem(self.venv)

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        remove_tree(self.venv)
