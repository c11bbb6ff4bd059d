"""Generated secrets: written once, for root's eyes, and never into plan, journal, state or log."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Step, register
from installer.writing import write_file
from payload.effects import remove_leftovers
from payload.errors import StepError


@dataclass(frozen=True, slots=True)
class SecretsBefore:
    """Names whose file was there already."""

    existed: tuple[str, ...]


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class WriteSecrets(Step[SecretsBefore]):
    """Write each named secret to `folder/NAME`, 0600 and root's. A file that is there stays as it is."""

    kind: ClassVar[str] = "secrets"
    undo_type: ClassVar[type[Any]] = SecretsBefore
    folder: Path
    names: tuple[str, ...]

    @override
    def describe(self) -> str:
        return f"write generated secrets: {', '.join(str(self.folder / name) for name in self.names)}"

    @override
    def undone(self) -> str:
        return "remove those that are new"

    @override
    def prepare(self, host: Host) -> SecretsBefore:
        return SecretsBefore(tuple(name for name in self.names if (self.folder / name).exists()))

    @override
    def apply(self, host: Host, undo: SecretsBefore) -> None:
        for name in self.names:
            if name in undo.existed:
                continue
            if name not in host.secrets:
                raise StepError("answer-missing", f"the secret {name} is not at hand")
            write_file(self.folder / name, f"{host.secrets[name]}\n".encode(), mode=0o600)

    @override
    def undo(self, undo: SecretsBefore, host: Host) -> None:
        for name in self.names:
            remove_leftovers(self.folder / name)
            if name not in undo.existed:
                (self.folder / name).unlink(missing_ok=True)
