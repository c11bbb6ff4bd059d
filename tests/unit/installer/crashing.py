"""A program that runs a plan of small real steps and kills itself at a chosen place. Run by the transaction's tests.

Usage: python -m tests.unit.installer.crashing ROOT (record N | before N | after N | none)
"""

from __future__ import annotations

import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from packaging.version import Version

from installer.journal import Journal, Record
from installer.layout import Layout
from installer.lock import exclusive
from installer.plan import Plan
from installer.recovery import recover
from installer.steps import Host, Step, register
from installer.steps.saved import SavedFiles, restore, save
from installer.transaction import Outcome, run_plan
from payload.errors import StepError


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Put(Step[SavedFiles]):
    """Writes a file in two halves, so that a crash can leave one."""

    kind: ClassVar[str] = "test-put"
    undo_type: ClassVar[type[Any]] = SavedFiles
    path: Path
    content: str
    die: bool = False
    fail: bool = False
    fail_undo_if: Path | None = None

    def describe(self) -> str:
        return f"put {self.path.name}"

    def undone(self) -> str:
        return "put back what was there"

    def prepare(self, host: Host) -> SavedFiles:
        return save([self.path], host.scratch)

    def apply(self, host: Host, undo: SavedFiles) -> None:
        half = len(self.content) // 2
        with self.path.open("w", encoding="utf-8") as out:
            out.write(self.content[:half])
            out.flush()
            if self.die:
                os.kill(os.getpid(), signal.SIGKILL)
            if self.fail:
                raise StepError("put-failed", "made to fail")
            out.write(self.content[half:])

    def undo(self, undo: SavedFiles, host: Host) -> None:
        if self.fail_undo_if is not None and self.fail_undo_if.exists():
            raise StepError("undo-blocked", f"{self.fail_undo_if} is there")
        restore(undo)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class StagedPut(Put):
    kind: ClassVar[str] = "test-staged-put"
    staging: ClassVar[bool] = True


def layout_of(root: Path) -> Layout:
    return Layout.of("demo", root=root)


def plan_of(root: Path, *, run: str = "run-1", die: int = -1, fail: int = -1, staged: int = 0, steps: int = 3) -> Plan:
    folder = root / "work"
    made = [
        (StagedPut if n < staged else Put)(
            path=folder / f"file-{n}", content=f"new content of {n}", die=n == die, fail=n == fail, reason="a test"
        )
        for n in range(steps)
    ]
    return Plan("install", "demo", Version("1.0"), run, tuple(made))


def host_of(root: Path) -> Host:
    return Host(scratch=root / "unused")


def run_in(root: Path, plan: Plan, journal: type[Journal] = Journal) -> Outcome:
    with exclusive(layout_of(root)):
        return run_plan(plan, layout_of(root), host_of(root), open_journal=journal)


def recover_in(root: Path) -> tuple[Outcome, ...]:
    with exclusive(layout_of(root)):
        return recover(layout_of(root), host_of(root))


def content_of(root: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((root / "work").iterdir())}


def killing(limit: int, *, before: bool) -> type[Journal]:
    """A journal whose process dies before or after its record number `limit` (from 0) is written."""

    class Killing(Journal):
        count = 0

        def append(self, record: Record) -> None:
            here = Killing.count == limit
            Killing.count += 1
            if here and before:
                os.kill(os.getpid(), signal.SIGKILL)
            super().append(record)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)

    return Killing


def main(argv: list[str]) -> None:
    root, place, number = Path(argv[0]), argv[1], int(argv[2])
    fail = int(argv[3]) if len(argv) > 3 else -1
    if place == "step":
        run_in(root, plan_of(root, die=number))
    else:
        run_in(root, plan_of(root, fail=fail), killing(number, before=place == "before"))


if __name__ == "__main__":
    main(sys.argv[1:])
