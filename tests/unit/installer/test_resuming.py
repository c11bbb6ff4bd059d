"""Runs that were cut off, on a host that is a folder: resumed they end as if nobody had disturbed them, undone they
leave what was before."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import pytest

from installer import control, control_recovery, cut_off, flow
from installer.installed import Installed, site_of
from installer.journal import Journal, Record
from installer.lock import exclusive
from installer.plan import Plan
from installer.planning import plan_rollback, plan_uninstall
from installer.recovery import unfinished
from installer.request import Request
from installer.resuming import command_digest, waiting_run
from installer.steps.saved import kept
from installer.transaction import run_plan
from payload.digest import Digest
from payload.errors import UsageError
from payload.signing import PrivateKey
from tests.unit.installer.lab import INSTALL, UPGRADE, Lab

MADE_ANEW = {"etc/app/admin_password", "var/lib/app/ssh/id_ed25519", "var/lib/app/ssh/id_ed25519.pub"}
RECORD = "var/lib/app/installer/state.json"
OWN = {
    RECORD,
    "var/lib/app/app.sqlite",
    "var/lib",
    "var/lib/app",
    "var/lib/app/installer",
    "var/log",
    "var/log/app",
    "var",
}
"""What a run that was undone leaves of itself, what differs by times, and the database, whose rows are compared."""


@dataclass(frozen=True)
class Run:
    """A run of `version`, from the snapshot `begin`: what it left when nobody disturbed it."""

    name: str
    version: str
    begin: str


INSTALLS, UPGRADES = Run("install", "1.0.0", "bare"), Run("upgrade", "1.1.0", "old")
ROLLS_BACK, REMOVES = Run("rollback", "1.1.0", "new"), Run("uninstall", "1.1.0", "new")


@dataclass
class Bench:
    """A host with snapshots; it keeps its place, since environments hold absolute paths."""

    lab: Lab
    saved: Path

    def save(self, name: str) -> None:
        shutil.copytree(self.lab.root, self.saved / name, symlinks=True)

    def back_to(self, name: str) -> None:
        shutil.rmtree(self.lab.root)
        shutil.copytree(self.saved / name, self.lab.root, symlinks=True)
        runs = set() if name == "bare" else {"app.service"}
        self.lab.systemd.active, self.lab.systemd.enabled = set(runs), set(runs)

    def seen(self) -> list[object]:
        """What is compared: files, data, release, and what runs."""
        tree = {path: what for path, what in self.lab.tree().items() if path not in OWN | MADE_ANEW}
        data = self.lab.log() if (self.lab.layout.data_dir / "app.sqlite").exists() else None
        state = self.lab.root / RECORD
        current = state.exists() and self.lab.found().state.current
        return [*sorted(tree.items()), data, current, sorted(self.lab.systemd.active)]


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory, bundles: dict[str, Path], key: PrivateKey) -> Bench:
    folder = tmp_path_factory.mktemp("resuming")
    bench = Bench(Lab(folder / "root", bundles), folder / "saved")
    for name in ("run/systemd/system", "etc/app/trusted-keys.d", "usr"):
        (bench.lab.root / name).mkdir(parents=True)
    (bench.lab.root / "etc/app/trusted-keys.d/vendor.pub").write_text(key.public.to_text())
    bench.save("bare")
    bench.lab.run("1.0.0")
    bench.save("old")
    bench.lab.run("1.1.0", UPGRADE)
    bench.save("new")
    return bench


@pytest.fixture(scope="module")
def starts(bench: Bench) -> dict[str, list[object]]:
    """The host before each run."""
    found = {}
    for name in ("bare", "old", "new"):
        bench.back_to(name)
        found[name] = bench.seen()
    return found


@pytest.fixture(scope="module")
def ends(bench: Bench, starts: dict[str, list[object]]) -> dict[Run, list[object]]:
    """How each run ends when nobody disturbs it."""
    found = {INSTALLS: starts["old"], UPGRADES: starts["new"]}
    bench.back_to("new")
    control.rollback(bench.lab.found(), None, lambda plan: True)
    found[ROLLS_BACK] = bench.seen()
    bench.back_to("new")
    control.uninstall(bench.lab.found(), purge=False, confirm=lambda plan: True)
    found[REMOVES] = bench.seen()
    return found


def dying(kind: str, record: str, *, before: bool, plan: Plan) -> Callable[[Path], Journal]:
    """A journal whose process dies before or after it has written the record `record` of the step of a kind."""
    number = next(n for n, step in enumerate(plan.steps) if step.kind == kind) if kind else None

    class Dying(Journal):
        def append(self, entry: Record) -> None:
            here = entry.record == record and getattr(entry, "n", None) == number
            if here and before:
                os.kill(os.getpid(), signal.SIGKILL)
            super().append(entry)
            if here:
                os.kill(os.getpid(), signal.SIGKILL)

    return Dying


def cut_off_at(bench: Bench, run: Run, kind: str, record: str, *, before: bool) -> None:
    """Begin `run` on the host as it was before, and kill it."""
    bench.back_to(run.begin)
    lab, asked = bench.lab, None
    if run in {INSTALLS, UPGRADES}:
        session = lab.session(run.version, INSTALL if run is INSTALLS else UPGRADE)
        prepared = flow.prepare(session, {})
        assert prepared.plan is not None
        plan, asked = prepared.plan, cut_off.asked_by(session, os.environ)
        host = replace(session.host, secrets=prepared.answers.secrets)
    else:
        plan, asked = _control_plan(lab, run)
        host = lab.found().host
    child = os.fork()
    if child == 0:
        with suppress(BaseException), exclusive(lab.layout):
            run_plan(plan, lab.layout, host, asked=asked, open_journal=dying(kind, record, before=before, plan=plan))
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


def _control_plan(lab: Lab, run: Run) -> tuple[Plan, Digest]:
    found = lab.found()
    if run is REMOVES:
        plan = plan_uninstall(site_of(found), found.offer(), found.state, (), purge=False)
        return plan, command_digest("uninstall", False)
    snapshot = kept(Path(found.record("1.0.0").config_snapshot or ""))
    plan = plan_rollback(
        site_of(found), found.offer(), found.offer("1.0.0"), found.state, snapshot.files, elsewhere=False
    )
    return plan, command_digest("rollback", None)


def finish(bench: Bench, run: Run, way: Literal["resume", "undo"]) -> str:
    """Go on, or undo, by the program that can: the bundle, and for what the control command began that command, unless
    it is gone."""
    if run in {INSTALLS, UPGRADES} or not (bench.lab.root / RECORD).exists():
        request = Request(action=way)
        return "\n".join(cut_off.finish(bench.lab.session(run.version, request)))
    act = control_recovery.resume if way == "resume" else control_recovery.undo
    return "\n".join(act(bench.lab.found()))


CASES = [
    (INSTALLS, "command", "applied", True),
    (INSTALLS, "record", "applied", False),
    (UPGRADES, "stop", "applied", True),
    (UPGRADES, "migrate", "applied", True),
    (UPGRADES, "switch", "applied", True),
    (UPGRADES, "record", "applied", False),
    (ROLLS_BACK, "database-restore", "applied", True),
    (REMOVES, "record", "applied", False),
]


@pytest.mark.parametrize(
    ("run", "kind", "record", "before"), CASES, ids=[f"{each[0].name}-{each[1]}-{each[2]}-{each[3]}" for each in CASES]
)
def test_resume_ends_as_afterwards_and_undo_as_before(
    bench: Bench,
    starts: dict[str, list[object]],
    ends: dict[Run, list[object]],
    run: Run,
    kind: str,
    record: str,
    before: bool,
) -> None:
    cut_off_at(bench, run, kind, record, before=before)
    said = finish(bench, run, "resume")
    assert bench.seen() == ends[run], said
    assert unfinished(bench.lab.layout) == ()
    cut_off_at(bench, run, kind, record, before=before)
    assert "is undone" in finish(bench, run, "undo")
    assert bench.seen()[:-1] == starts[run.begin][:-1]
    assert unfinished(bench.lab.layout) == ()


def test_the_same_command_goes_on_and_another_puts_back_first(bench: Bench, ends: dict[Run, list[object]]) -> None:
    cut_off_at(bench, UPGRADES, "migrate", "applied", before=True)
    report = "\n".join(bench.lab.run("1.1.0", UPGRADE))
    assert "App 1.1.0 is installed." in report and "before:        1.0.0" in report
    assert "To go back: app-ctl rollback" in report
    assert bench.seen() == ends[UPGRADES]
    assert len(list(bench.lab.layout.journal_dir.glob("*.jsonl"))) == 2  # of the install, and of this one run

    cut_off_at(bench, UPGRADES, "migrate", "applied", before=True)
    bench.lab.run("1.1.0", replace(UPGRADE, start=False))
    assert bench.lab.systemd.active == set()
    assert len(list(bench.lab.layout.journal_dir.glob("*.jsonl"))) == 3
    assert bench.lab.log() == ends[UPGRADES][-3]

    cut_off_at(bench, ROLLS_BACK, "switch", "applied", before=True)
    assert "To go back: app-ctl rollback --to 1.1.0" in "\n".join(
        control.rollback(bench.lab.found(), None, lambda plan: True)
    )
    assert bench.seen() == ends[ROLLS_BACK]


def test_what_was_written_since_a_run_was_cut_off_is_kept_when_it_is_undone(bench: Bench) -> None:
    cut_off_at(bench, UPGRADES, "start", "applied", before=False)
    lab = bench.lab
    database = lab.layout.data_dir / "app.sqlite"
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("insert into log values ('written since')")
        connection.commit()
        shutil.copy(f"{database}-wal", lab.root / "wal")  # as a machine without power leaves it
    shutil.move(lab.root / "wal", f"{database}-wal")
    finish(bench, UPGRADES, "undo")
    assert lab.log() == ["migrated to 1.0.0", "set up with 20 characters"]
    (kept,) = lab.layout.state_dir.glob("backup/*-since")
    assert kept.stat().st_mode & 0o777 == 0o700
    assert lab.log(kept)[-2:] == ["migrated to 1.1.0", "written since"]
    finish(bench, UPGRADES, "undo")
    assert [*lab.layout.state_dir.glob("backup/*-since*")] == [kept]


def test_who_cannot_go_on_says_who_can(bench: Bench) -> None:
    cut_off_at(bench, UPGRADES, "switch", "applied", before=True)
    before = bench.seen()
    with pytest.raises(UsageError) as caught:
        control_recovery.resume(bench.lab.found())
    assert (caught.value.code, "bundle that it was begun with" in str(caught.value)) == ("not-resumable", True)
    assert "app-ctl undo" in caught.value.remedy
    with pytest.raises(UsageError) as caught:
        cut_off.finish(bench.lab.session("3.0.0", Request(action="resume")))
    assert caught.value.code == "not-resumable"
    assert bench.seen() == before
    status = control.status(bench.lab.found())
    text = "\n".join(status.lines)
    assert "unfinished: the upgrade of app 1.1.0 was cut off after" in text
    assert "to go on:   bash BUNDLE --resume, with the bundle of 1.1.0" in text
    assert "to go back: app-ctl undo" in text
    (row,) = status.body["unfinished"]
    assert (row["mode"], row["version"], row["undo"]) == ("upgrade", "1.1.0", "app-ctl undo")
    cut = waiting_run(bench.lab.layout)
    assert cut is not None and row["steps-done"] == cut.steps[0] < row["steps"]
    assert "is undone" in "\n".join(control_recovery.undo(bench.lab.found()))
    assert control.status(bench.lab.found()).body["unfinished"] == []
    assert control_recovery.undo(bench.lab.found()) == ("No run was cut off: nothing to do.",)


def test_what_a_killed_uninstall_ran_from_goes_too(bench: Bench, starts: dict[str, list[object]]) -> None:
    ways: tuple[tuple[Literal["undo", "resume"], list[object] | None], ...] = (
        ("undo", starts["new"]),
        ("resume", None),
    )
    for way, left in ways:
        cut_off_at(bench, REMOVES, "record", "applied", before=False)
        copy = bench.lab.layout.prefix / ".uninstall.abc/runtime"
        copy.mkdir(parents=True)
        finish(bench, REMOVES, way)
        assert not copy.parent.exists()
        assert bench.lab.layout.prefix.exists() == (left is not None)
        assert left is None or bench.seen()[:-1] == left[:-1]


@pytest.mark.parametrize("act", [control_recovery.resume, control_recovery.undo])
def test_what_a_command_ran_from_goes_also_if_it_was_killed_before_it_began(
    bench: Bench, act: Callable[[Installed], tuple[str, ...]]
) -> None:
    bench.back_to(ROLLS_BACK.begin)
    used, left = (bench.lab.layout.prefix / f".uninstall.{name}" for name in ("used", "left"))
    left.mkdir()
    used.mkdir()
    program = used / "sleep"
    shutil.copy("/usr/bin/sleep", program)
    with subprocess.Popen([program, "600"]) as running:
        try:
            assert act(bench.lab.found()) == ("No run was cut off: nothing to do.",)
            assert used.exists() and not left.exists()
        finally:
            running.kill()
    act(bench.lab.found())
    assert not used.exists()


def test_units_that_a_reboot_started_are_stopped_before_a_run_goes_on(
    bench: Bench, ends: dict[Run, list[object]]
) -> None:
    cut_off_at(bench, UPGRADES, "config", "applied", before=False)
    assert bench.lab.systemd.active == {"app.service"}  # the child's systemd died with it: as after a reboot
    calls = len(bench.lab.systemd.calls)
    finish(bench, UPGRADES, "resume")
    words = [call[1:] for call in bench.lab.systemd.calls[calls:] if call[:1] == ("systemctl",)]
    assert words.index(("stop", "app.service")) < words.index(("start", "app.service"))
    assert bench.seen() == ends[UPGRADES]
