"""The product's own command that changes the schema of its database."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from installer.steps.base import Host, Nothing, PlainStep, register
from installer.steps.command import run_for_product


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class MigrateDatabase(PlainStep):
    """Run `argv` as `user`; `back` is the product's command for the way back, empty if there is none.

    A database that is the file `database` is put back by the plan's database step, which comes before this one. Where
    that file does not exist, the product keeps its data elsewhere, out of the installer's reach: undo runs `back` then.
    """

    kind: ClassVar[str] = "migrate"
    redone_from: ClassVar[frozenset[str]] = frozenset({"database-backup"})
    what: str
    argv: tuple[str, ...]
    back: tuple[str, ...] = ()
    database: Path | None
    user: str
    cwd: Path
    timeout: float = 1800

    @override
    def describe(self) -> str:
        return f"{self.what}: {' '.join(self.argv)}"

    @override
    def undone(self) -> str:
        if self.database is None:
            return "cannot be undone by the installer: the product has no database file"
        elsewhere = f"run {' '.join(self.back)}" if self.back else "cannot be undone by the installer"
        return f"the step that copied the database puts it back; if the data is kept elsewhere: {elsewhere}"

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        self._run(host, self.what, self.argv)

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        if self.back and self.database is not None and not self.database.exists():
            self._run(host, "take the database's schema back", self.back)

    def _run(self, host: Host, what: str, argv: tuple[str, ...]) -> None:
        run_for_product(host, what, argv, user=self.user, cwd=self.cwd, timeout=self.timeout)
