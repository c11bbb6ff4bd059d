"""`verify --repair`: what lies on the host is put back, an operator's edits stay, a failure leaves it as it was."""

from __future__ import annotations

import os
import signal

import pytest

from installer.drift.command import repaired
from installer.drift.mending import plan_mending
from installer.drift.verify import verify
from installer.installed import recovered, site_of
from installer.lock import exclusive
from installer.plan import Plan
from installer.transaction import run_plan
from payload.errors import ExitCode, SealiftError, UsageError
from tests.unit.installer.crashing import killing
from tests.unit.installer.lab import Lab


def spoil(lab: Lab) -> None:
    """Change all that can be put back without the bundle."""
    layout, release = lab.layout, lab.layout.release("1.0.0")
    (site,) = (release / "venv").glob("lib/python3*/site-packages")
    (site / "app_tool.py").write_text("raise SystemExit(1)\n")
    (layout.units_dir / "app.service").unlink()
    lab.systemd.enabled.clear()
    (layout.commands_dir / "app-admin").unlink()
    (layout.commands_dir / "app-admin").symlink_to("/bin/true")
    layout.ctl.write_text("#!/bin/sh\n")
    layout.current.unlink()
    layout.current.symlink_to("releases/0.9")
    layout.config_dir.chmod(0o777)
    os.chown(layout.config_dir / "admin_password", 1, 1)
    (release / "tools/large.data").chmod(0o666)
    (layout.images_dir / "images.json").write_text("[]")
    (layout.data_dir / "ssh/id_ed25519.pub").unlink()
    (layout.config_dir / "app.toml").unlink()
    layout.log_dir.chmod(0o700)


@pytest.fixture
def installed(lab: Lab) -> Lab:
    lab.run("1.0.0")
    return lab


def test_all_is_as_it_was_installed_again(installed: Lab) -> None:
    good = installed.tree()
    owners = {path: path.lstat().st_uid for path in installed.root.rglob("*")}
    spoil(installed)
    asked: list[str] = []

    def confirm(plan: Plan) -> bool:
        asked.extend(line for line in plan.lines() if not line.startswith("    undo: "))
        return True

    view, code = repaired(installed.found(), confirm)
    assert (code, view.body["findings"]) == (ExitCode.OK, [])
    assert installed.tree() == good
    assert {
        path: uid for path in installed.root.rglob("*") if (uid := path.lstat().st_uid) != owners.get(path, 0)
    } == {}
    assert installed.layout.log_dir.stat().st_mode & 0o777 == 0o750
    assert installed.systemd.active == installed.systemd.enabled == {"app.service"}
    assert "stop app.service" in asked[0] and any("SSH key" in line for line in asked)
    assert view.lines[0] == f"{len(asked)} steps were done to put things back."


def test_a_failure_leaves_everything_as_it_was_found(installed: Lab) -> None:
    spoil(installed)
    before = installed.tree()
    installed.systemd.refuses = True
    with pytest.raises(SealiftError) as caught:
        repaired(installed.found(), lambda plan: True)
    assert caught.value.exit_code == ExitCode.ROLLED_BACK
    assert installed.tree() == before
    assert installed.systemd.active == {"app.service"} and installed.systemd.enabled == set()


@pytest.mark.parametrize("place", [2, 6, 10, 14, 18])
def test_a_repair_that_was_killed_is_undone_and_can_be_made_again(installed: Lab, place: int) -> None:
    good = installed.tree()
    spoil(installed)
    before, found = installed.tree(), installed.found()
    seen = verify(found)
    assert seen.offer is not None
    plan = plan_mending(site_of(found, seen.offer.manifest), seen.offer, seen.findings)
    assert plan is not None and len(plan.steps) * 2 > place
    child = os.fork()
    if child == 0:
        with exclusive(found.layout):
            run_plan(plan, found.layout, found.host, open_journal=killing(place, before=False))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with exclusive(found.layout):
        recovered(installed.found())
    assert installed.tree() == before
    _, code = repaired(installed.found(), lambda plan: True)
    assert code == ExitCode.OK
    assert installed.tree() == good


def test_nobody_confirms_and_nothing_is_done(installed: Lab) -> None:
    spoil(installed)
    before = installed.tree()
    with pytest.raises(UsageError, match="declined"):
        repaired(installed.found(), lambda plan: False)
    assert installed.tree() == before


def test_edited_configuration_is_never_touched(installed: Lab) -> None:
    config = installed.layout.config_dir / "app.toml"
    config.write_text("# mine\n")
    config.chmod(0o604)
    installed.layout.ctl.chmod(0o700)
    _, code = repaired(installed.found(), lambda plan: True)
    assert code == ExitCode.OK
    assert (config.read_text(), config.stat().st_mode & 0o777) == ("# mine\n", 0o604)
    assert installed.layout.ctl.stat().st_mode & 0o777 == 0o755


def test_what_needs_the_bundle_or_a_backup_is_said_and_left(installed: Lab) -> None:
    release, key = installed.layout.release("1.0.0"), installed.layout.data_dir / "ssh/id_ed25519"
    (release / "tools/large.data").write_bytes(b"other")
    (release / "images/small.qcow2").unlink()
    key.unlink()
    before, runs = installed.tree(), len(list(installed.layout.journal_dir.iterdir()))
    view, code = repaired(installed.found(), lambda plan: True)
    assert code == ExitCode.INTEGRITY
    assert installed.tree() == before and len(list(installed.layout.journal_dir.iterdir())) == runs
    advice = "\n".join(line for line in view.lines if line.startswith("What to do: "))
    assert "bash app-installer-1.0.0.bin -o puts 2 back" in advice and "of these, 1 cannot be made again" in advice
    installed.run("1.0.0")
    assert {finding.subject for finding in verify(installed.found()).findings} <= {str(key)}


def test_an_environment_waits_for_its_wheels(installed: Lab) -> None:
    release = installed.layout.release("1.0.0")
    (wheel,) = (release / "wheels/server").glob("*.whl")
    wheel.write_bytes(b"PK")
    (release / "venv/bin/app-admin").write_text("#!/bin/sh\n")
    _, code = repaired(installed.found(), lambda plan: True)
    assert code == ExitCode.INTEGRITY
    installed.run("1.0.0")
    assert [finding.subject for finding in verify(installed.found()).findings] == [str(release / "venv/bin/app-admin")]
    _, code = repaired(installed.found(), lambda plan: True)
    assert code == ExitCode.OK


def test_a_damaged_template_comes_from_the_bundle_first(installed: Lab) -> None:
    (installed.layout.release("1.0.0") / "templates/units/app.service.j2").write_text(
        "[Service]\nExecStart=/bin/evil\n"
    )
    (installed.layout.units_dir / "app.service").unlink()
    _, code = repaired(installed.found(), lambda plan: True)
    assert code == ExitCode.INTEGRITY
    assert not (installed.layout.units_dir / "app.service").exists()
