"""The new release's migration, tried on a copy of the database while the old release still runs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from installer.steps.base import Host, Nothing, PlainStep, register
from installer.steps.database import back_up, check
from installer.steps.saved import owner_ids, remove_tree
from payload.errors import CommandError, PreflightError, StepError


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class RehearseMigration(PlainStep):
    """Copy `database` to `copy`, which is the only thing in its folder, and run `argv` on it as `user`.

    The copy is taken while the database is in use. It belongs to `user` alone, and is gone afterwards.
    """

    kind: ClassVar[str] = "rehearse"
    staging: ClassVar[bool] = True
    database: Path
    copy: Path
    argv: tuple[str, ...]
    user: str
    timeout: float = 1800

    @override
    def describe(self) -> str:
        return f"rehearse the migration on a copy of {self.database}"

    @override
    def undone(self) -> str:
        return "remove the copy"

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        if not self.database.exists():
            return
        folder = self.copy.parent
        remove_tree(folder)
        folder.mkdir(mode=0o700)
        owner = owner_ids(self.user)
        try:
            back_up(self.database, self.copy)
            os.chown(folder, *owner)
            os.chown(self.copy, *owner)
            host.run(self.argv, env={"HOME": str(folder)}, cwd=folder, timeout=self.timeout, user=self.user)
            check(self.copy, copy=False)
        except (CommandError, StepError) as error:
            raise PreflightError(
                "rehearsal-failed",
                f"the migration fails on a copy of {self.database}",
                details=f"{error.brief}\n{error.details}".strip(),
                remedy="nothing was stopped and no data was changed; give the vendor these lines",
            ) from error
        finally:
            remove_tree(folder)

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        remove_tree(self.copy.parent)
