"""A wall clock that goes back and forth between runs: it gives labels, and nothing is decided by them."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from installer import control, flow
from installer.installed import recovered
from installer.journal import read_journal
from installer.lock import exclusive
from installer.pruning import prune
from installer.recovery import unfinished
from installer.resuming import waiting_run
from installer.session import new_run
from installer.state import load_state
from installer.transaction import run_plan
from tests.unit.installer.crashing import killing
from tests.unit.installer.lab import INSTALL, UPGRADE, Lab

NOON = 1_900_000_000
DAY = 86_400
YEAR = 365 * DAY


class Clock:
    """What the installer is told when it asks for the time of day: it stands still until somebody sets it."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.now = NOON
        formatted = time.gmtime
        patch.setattr(time, "time", lambda: float(self.now))
        patch.setattr(time, "gmtime", lambda seconds=None: formatted(self.now if seconds is None else seconds))


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def notes_of(lab: Lab) -> dict[Path, bytes]:
    """Every log and journal of the host."""
    layout = lab.layout
    return {path: path.read_bytes() for folder in (layout.log_dir, layout.journal_dir) for path in folder.iterdir()}


def test_no_run_writes_over_what_an_earlier_one_left_and_releases_go_by_version(lab: Lab, clock: Clock) -> None:
    kept: dict[Path, bytes] = {}

    def check(current: str, runs: int) -> None:
        notes = notes_of(lab)
        assert {path: notes[path] for path in kept} == kept
        assert len(notes) == 2 * runs
        assert all(read_journal(path).finished for path in notes if path.suffix == ".jsonl")
        state = load_state(lab.layout)
        assert state is not None and str(state.current) == current
        kept.update(notes)

    lab.run("1.0.0", INSTALL)
    check("1.0.0", 1)
    clock.now = NOON - YEAR
    lab.run("1.1.0", UPGRADE)
    check("1.1.0", 2)
    control.rollback(lab.found(), None, lambda plan: True)  # in the same second
    check("1.0.0", 3)
    assert lab.log() == ["migrated to 1.0.0", "set up with 20 characters"]
    clock.now = NOON + YEAR
    control.rollback(lab.found(), "1.1.0", lambda plan: True)
    check("1.1.0", 4)
    clock.now = NOON  # the very second of the first run
    lines = "\n".join(control.rollback(lab.found(), None, lambda plan: True))
    assert "1.0.0 is current again" in lines
    check("1.0.0", 5)
    assert [row["version"] for row in control.releases(lab.found()).body] == ["1.0.0", "1.1.0"]
    clock.now = NOON - 2 * YEAR
    prune(lab.found(), 0, dry_run=False, confirm=lambda plan: True)
    check("1.0.0", 6)
    assert not lab.layout.release("1.1.0").exists()


def test_the_run_that_was_cut_off_comes_before_those_that_are_only_to_be_tidied_up(lab: Lab, clock: Clock) -> None:
    lab.run("1.0.0", INSTALL)
    (journal,) = lab.layout.journal_dir.iterdir()
    clock.now = NOON - YEAR
    cut_off(lab, "1.1.0")
    untidy = journal.read_text().splitlines(keepends=True)[:-1]  # as if tidying up had failed
    journal.write_text("".join(untidy))

    cut = waiting_run(lab.layout)
    assert cut is not None and cut.what == "the upgrade of app 1.1.0"
    assert [each.committed for each in unfinished(lab.layout)] == [False, True]
    clock.now = NOON - 3 * YEAR
    with exclusive(lab.layout):
        recovered(lab.found())
    assert unfinished(lab.layout) == ()
    assert lab.log() == ["migrated to 1.0.0", "set up with 20 characters"]
    lab.run("1.1.0", UPGRADE)
    assert lab.log()[-1] == "migrated to 1.1.0"


def test_names_of_runs_differ_whatever_is_left_of_the_earlier_ones(lab: Lab, clock: Clock) -> None:
    layout, stamp = lab.layout, "20300317T174640Z"
    assert new_run(layout) == stamp
    layout.journal_dir.mkdir(parents=True)
    layout.log_dir.mkdir(parents=True)
    (layout.journal_dir / f"{stamp}.jsonl").touch()
    assert new_run(layout) == f"{stamp}-2"
    (layout.log_dir / f"install-{stamp}-2.log").touch()
    assert new_run(layout) == f"{stamp}-3"
    layout.kept(f"{stamp}-3").mkdir(parents=True)
    assert new_run(layout) == f"{stamp}-4"


def cut_off(lab: Lab, version: str) -> None:
    """Begin an upgrade, and die in the middle of it."""
    session = lab.session(version, UPGRADE)
    prepared = flow.prepare(session, {})
    assert prepared.plan is not None
    child = os.fork()
    if child == 0:
        with exclusive(session.layout):
            host = replace(session.host, secrets=prepared.answers.secrets)
            run_plan(prepared.plan, session.layout, host, open_journal=killing(12, before=False))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
