"""Releases that go, what goes with them, and what stays."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from packaging.version import Version

from installer import control
from installer.drift.verify import verify
from installer.installed import recovered, site_of
from installer.layout import Layout
from installer.lock import exclusive
from installer.planning import plan_prune
from installer.pruning import freed, prunable, prune
from installer.state import ReleaseRecord, State, load_state
from installer.transaction import run_plan
from payload.errors import UsageError
from tests.unit.installer.crashing import killing
from tests.unit.installer.lab import UPGRADE, Lab

LAYOUT = Layout.of("app")
BACKUPS = "/var/lib/app/installer/backup"


def record(version: str, run: str | None = None) -> ReleaseRecord:
    kept = f"{BACKUPS}/{run}/kept" if run else None
    return ReleaseRecord(
        version=Version(version),
        installed_at="",
        bundle="sha256:" + "0" * 64,
        database_backup=f"{kept}/database.sqlite" if kept else None,
        config_snapshot=f"{kept}/config/files.json" if kept else None,
    )


def state(current: str, *records: ReleaseRecord) -> State:
    return State(product="app", prefix="/opt/app", current=Version(current), releases=records)


def going(found: State, keep: int) -> dict[str, list[str]]:
    return {str(each.record.version): [str(path) for path in each.paths] for each in prunable(LAYOUT, found, keep)}


def test_the_newest_others_stay_whatever_their_order() -> None:
    found = state("1.9", record("1.10", "d"), record("1.2", "b"), record("1.9"), record("1.1", "a"))
    assert going(found, 3) == {}
    assert list(going(found, 1)) == ["1.1", "1.2"]
    assert list(going(found, 0)) == ["1.1", "1.2", "1.10"]
    assert going(found, 2) == {"1.1": ["/opt/app/releases/1.1", f"{BACKUPS}/a"]}


def test_what_another_release_needs_too_stays() -> None:
    found = state("3", record("1", "same"), record("2", "same"), record("3", "own"))
    assert going(found, 1) == {"1": ["/opt/app/releases/1"]}
    elsewhere = record("1").model_copy(update={"database_backup": "/srv/mine/copy", "config_snapshot": BACKUPS})
    assert going(state("3", elsewhere, record("3")), 0) == {"1": ["/opt/app/releases/1"]}


def test_a_file_with_another_name_elsewhere_frees_nothing(tmp_path: Path) -> None:
    for name in ("going/alone", "going/twice", "staying"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(bytes(8192))
    (tmp_path / "going/twice-2").hardlink_to(tmp_path / "going/twice")
    (tmp_path / "going/shared").hardlink_to(tmp_path / "staying")
    (tmp_path / "going/link").symlink_to(tmp_path / "staying")
    assert freed([tmp_path / "going"]) == 2 * 8192
    assert freed([tmp_path / "not-there"]) == 0


@pytest.fixture
def upgraded(lab: Lab) -> Lab:
    lab.run("1.0.0")
    lab.run("1.1.0", UPGRADE)
    return lab


def test_a_dry_run_and_a_refusal_change_nothing(upgraded: Lab) -> None:
    before = upgraded.tree()
    view = prune(upgraded.found(), 0, dry_run=True, confirm=lambda plan: pytest.fail("nobody is to be asked"))
    assert view.body["removed"] is False and view.body["bytes"] > 100_000
    assert "would go" in view.lines[-1]
    with pytest.raises(UsageError, match="declined"):
        prune(upgraded.found(), 0, dry_run=False, confirm=lambda plan: False)
    assert upgraded.tree() == before
    view = prune(upgraded.found(), 1, dry_run=False, confirm=lambda plan: False)
    assert view.lines == ("There is no release to remove.",)


def test_a_release_goes_with_what_was_kept_for_it(upgraded: Lab) -> None:
    layout = upgraded.layout
    found = load_state(layout)
    assert found is not None
    old = found.release("1.0.0")
    assert old is not None and old.database_backup is not None
    kept = Path(old.database_backup).parents[1]
    assert kept.is_dir()
    view = prune(upgraded.found(), 0, dry_run=False, confirm=lambda plan: True)
    assert view.body["removed"] is True and "releases removed: 1, " in view.lines[-1]
    assert [path.name for path in layout.releases.iterdir()] == ["1.1.0"]
    assert not kept.exists()
    after = load_state(layout)
    assert after is not None and [str(each.version) for each in after.releases] == ["1.1.0"]
    assert verify(upgraded.found()).findings == ()
    assert upgraded.systemd.active == {"app.service"}
    with pytest.raises(UsageError, match="no release below"):
        control.rollback(upgraded.found(), None, lambda plan: True)


@pytest.mark.parametrize(("place", "stays"), [(2, True), (4, True), (5, False)])
def test_a_run_that_was_killed_is_undone_or_finished(upgraded: Lab, place: int, stays: bool) -> None:
    """Killed after the record was written, before the commit, and right after it."""
    found = upgraded.found()
    before = upgraded.tree()
    (chosen,) = prunable(found.layout, found.state, 0)
    plan = plan_prune(site_of(found), found.state, (chosen.record,), chosen.paths)
    child = os.fork()
    if child == 0:
        with exclusive(found.layout):
            run_plan(plan, found.layout, found.host, open_journal=killing(place, before=False))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with exclusive(found.layout):
        recovered(upgraded.found())
    assert all(path.exists() == stays for path in chosen.paths)
    assert (upgraded.tree() == before) == stays
    assert (upgraded.found().state.release("1.0.0") is not None) == stays
