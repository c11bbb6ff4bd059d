"""Install, upgrade, roll back and remove a real bundle under a root folder of its own. Only systemd is played."""

from __future__ import annotations

import json
import os
import re
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from installer import control, flow, host_views
from installer.keyring import load_trust
from installer.lock import exclusive
from installer.state import load_state
from installer.transaction import run_plan
from payload.errors import ExitCode, IntegrityError, PreflightError, SealiftError, TrustError, UsageError
from payload.events import Event, Note
from payload.manifest import Answer
from payload.signing import PrivateKey
from payload.trust import Keyring
from tests.unit.installer.crashing import killing
from tests.unit.installer.lab import INSTALL, UPGRADE, Lab


def test_install_then_the_same_again_then_remove(lab: Lab) -> None:
    before = lab.tree()
    report = "\n".join(lab.run("1.0.0"))
    layout = lab.layout

    assert "App 1.0.0 is installed." in report
    assert "big is not embedded" in report
    assert str(layout.current.readlink()) == "releases/1.0.0"
    assert lab.log() == ["migrated to 1.0.0", "set up with 20 characters"]
    assert (layout.config_dir / "app.toml").read_text() == '# app\nport = 8080\nnew_in = "1.0"\n'
    assert lab.systemd.active == lab.systemd.enabled == {"app.service"}
    assert (layout.commands_dir / "app-admin").resolve() == (layout.release("1.0.0") / "venv/bin/app-admin").resolve()
    assert layout.ctl.stat().st_mode & 0o777 == 0o755
    images = json.loads((layout.images_dir / "images.json").read_text())
    assert [(image["name"], image["embedded"]) for image in images] == [("small", True), ("big", False)]
    assert Path(images[0]["path"]).is_file()
    assert (layout.data_dir / "ssh/id_ed25519").stat().st_mode & 0o777 == 0o600
    trust = load_trust(layout)
    assert trust is not None
    assert (len(trust.keyring.keys), str(trust.version)) == (1, "1.0.0")
    assert layout.trust_file.stat().st_mode & 0o777 == 0o600

    after = lab.tree()
    again = "\n".join(lab.run("1.0.0"))
    assert "nothing to do" in again
    assert lab.tree() == after

    control.uninstall(lab.found(), purge=False, confirm=lambda plan: True)
    assert load_state(layout) is None
    assert not layout.prefix.exists()
    assert lab.systemd.active == lab.systemd.enabled == set()
    assert (layout.data_dir / "app.sqlite").exists()

    lab.run("1.0.0")
    control.uninstall(lab.found(), purge=True, confirm=lambda plan: True)
    left = {name for name, what in lab.tree().items() if what != "folder"}
    assert left == {name for name, what in before.items() if what != "folder"} - {"etc/app/trusted-keys.d/vendor.pub"}


def test_secret_is_in_its_file_only(lab: Lab) -> None:
    lab.run("1.0.0")
    path = lab.layout.config_dir / "admin_password"
    secret = path.read_text().strip()
    assert (len(secret), path.stat().st_mode & 0o777) == (20, 0o600)
    holders = [each for each in lab.root.rglob("*") if each.is_file() and secret.encode() in each.read_bytes()]
    assert holders == [path]
    assert not any(secret in word for call in lab.systemd.calls for word in call)


def test_upgrade_keeps_edits_and_keys_and_rollback_brings_everything_back(lab: Lab) -> None:
    lab.run("1.0.0")
    layout = lab.layout
    config = layout.config_dir / "app.toml"
    config.write_text('# app\nport = 9999\nnew_in = "mine"\n')
    ssh_key = (layout.data_dir / "ssh/id_ed25519").read_bytes()
    before = lab.tree()

    lab.run("1.1.0", UPGRADE)
    assert str(layout.current.readlink()) == "releases/1.1.0"
    assert lab.log() == ["migrated to 1.0.0", "set up with 20 characters", "migrated to 1.1.0"]
    assert config.read_text() == '# app\nport = 9999\nnew_in = "mine"\n'
    assert 'new_in = "1.1"' in (layout.config_dir / "app.toml.new").read_text()
    assert (layout.data_dir / "ssh/id_ed25519").read_bytes() == ssh_key
    assert lab.systemd.active == {"app.service"}
    state = load_state(layout)
    assert state is not None and [str(each.version) for each in state.releases] == ["1.0.0", "1.1.0"]

    lines = "\n".join(control.rollback(lab.found(), None, lambda plan: True))
    assert "1.0.0 is current again" in lines
    assert lab.log() == ["migrated to 1.0.0", "set up with 20 characters"]
    assert str(layout.current.readlink()) == "releases/1.0.0"
    assert lab.systemd.active == {"app.service"}
    after = {name: what for name, what in lab.tree().items() if "releases/1.1.0" not in name}
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    assert changed <= {"etc/app/app.toml.new", "var/lib/app/installer/state.json", "var/lib/app/app.sqlite"}

    control.rollback(lab.found(), "1.1.0", lambda plan: True)
    assert lab.log()[-1] == "migrated to 1.1.0"
    assert str(layout.current.readlink()) == "releases/1.1.0"


def test_upgrade_again_after_a_rollback(lab: Lab) -> None:
    lab.run("1.0.0")
    lab.run("1.1.0", UPGRADE)
    control.rollback(lab.found(), None, lambda plan: True)
    lab.run("1.1.0", UPGRADE)
    assert lab.log()[-1] == "migrated to 1.1.0"
    assert sorted(path.name for path in lab.layout.releases.iterdir()) == ["1.0.0", "1.1.0"]


@pytest.mark.parametrize("cause", ["migrate", "start"])
def test_failing_upgrade_leaves_the_old_release_running(lab: Lab, cause: str) -> None:
    lab.run("1.0.0")
    if cause == "migrate":
        (lab.layout.data_dir / "fail-migrate").touch()
    before, log = lab.tree(), lab.log()
    lab.systemd.refuses = cause == "start"
    with pytest.raises(SealiftError) as caught:
        lab.run("1.1.0", UPGRADE)
    assert caught.value.exit_code == ExitCode.ROLLED_BACK
    assert "log: " in caught.value.details
    assert "made to fail" in caught.value.details
    assert lab.log() == log
    after = lab.tree()
    ignored = {"var/lib/app/app.sqlite"}  # SQLite's own copy: the same content, checked above
    assert {name: what for name, what in after.items() if name not in ignored} == {
        name: what for name, what in before.items() if name not in ignored
    }
    assert lab.systemd.active == lab.systemd.enabled == {"app.service"}


def test_stopped_product_stays_stopped(lab: Lab) -> None:
    lab.run("1.0.0", replace(INSTALL, start=False))
    assert lab.systemd.active == set()
    lab.run("1.1.0", UPGRADE)
    assert lab.systemd.active == set()
    assert "Stopped units are left stopped" in "\n".join(lab.run("1.1.0"))


def test_failing_first_install_leaves_nothing_and_hides_the_secret(lab: Lab) -> None:
    lab.layout.data_dir.mkdir(parents=True)
    (lab.layout.data_dir / "fail-setup").touch()
    before = lab.tree()
    password = "correct horse battery"
    os.environ["SEALIFT_ANSWER_ADMIN_PASSWORD"] = password
    try:
        with pytest.raises(SealiftError) as caught:
            lab.run("1.0.0")
    finally:
        del os.environ["SEALIFT_ANSWER_ADMIN_PASSWORD"]
    assert caught.value.exit_code == ExitCode.ROLLED_BACK
    assert "setup was made to fail with ********" in str(caught.value)
    assert {name: what for name, what in lab.tree().items() if name != "var/lib/app/installer"} == before
    held = [path for path in lab.root.rglob("*") if path.is_file() and password.encode() in path.read_bytes()]
    assert held == []


def test_damaged_release_is_repaired(lab: Lab) -> None:
    lab.run("1.0.0")
    good = lab.tree()
    release = lab.layout.release("1.0.0")
    (release / "wheels/server/requirements.txt").write_text("evil\n")
    (lab.layout.units_dir / "app.service").unlink()
    lab.layout.current.unlink()
    assert "repaired" in "\n".join(lab.run("1.0.0"))
    assert lab.tree() == good


def test_refusals_change_nothing(lab: Lab) -> None:
    with pytest.raises(UsageError, match="no app on this host to upgrade"):
        lab.run("1.1.0", UPGRADE)
    lab.run("1.1.0")
    before = lab.tree()
    refused = {
        "version-lower": ("1.0.0", UPGRADE),
        "already-installed": ("3.0.0", INSTALL),
        "prefix-differs": ("1.1.0", replace(INSTALL, prefix=Path("/elsewhere"))),
    }
    for code, (version, request) in refused.items():
        with pytest.raises(UsageError) as caught:
            lab.run(version, request)
        assert (caught.value.code, caught.value.exit_code) == (code, ExitCode.USAGE)
        assert caught.value.remedy
    assert lab.tree() == before


def test_dry_run_writes_nothing_and_shows_every_step(lab: Lab) -> None:
    before = lab.tree()
    view, prepared = host_views.dry_run(lab.session("1.0.0", replace(INSTALL, action="dry-run")), {})
    assert lab.tree() == before
    assert prepared.plan is not None
    kinds = [step.kind for step in prepared.plan.steps]
    assert kinds == [
        "stage", "user", "venv", "folders", "write-files", "secrets", "ssh-key", "database-backup", "config", "images",
        "migrate", "command", "units", "links", "switch", "record", "start",
    ]  # fmt: skip
    assert [step["kind"] for step in view.body["steps"]] == kinds
    undos = [step["undo"] for step in view.body["steps"]]
    assert undos == [step.undone() for step in prepared.plan.steps] and all(undos)
    shown = [line for line in view.lines if line.startswith("    undo: ")]
    assert shown == [f"    undo: {undo}" for undo in undos]


class Declines:
    """Sees what is shown before the question, and says no."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def emit(self, event: Event) -> None:
        if isinstance(event, Note):
            self.seen.append(event.text)

    def close(self) -> None:
        pass

    def confirm(self, question: str) -> bool:
        return False

    def confirm_keys(self, keyring: Keyring) -> bool:
        return False

    def answer(self, question: Answer) -> str:
        return ""


def test_the_question_before_a_run_shows_how_each_step_is_undone(lab: Lab) -> None:
    somebody = Declines()
    session = replace(lab.session("1.0.0", replace(INSTALL, yes=False)), sink=somebody, dialogue=somebody)
    with pytest.raises(UsageError, match="nothing was changed"):
        flow.install(session)
    plan = flow.prepare(session, os.environ).plan
    assert plan is not None
    assert [line for line in somebody.seen if line.startswith("    undo: ")] == [
        f"    undo: {step.undone()}" for step in plan.steps
    ]


def test_foreign_key_and_no_key_are_refused(lab: Lab) -> None:
    (lab.root / "etc/app/trusted-keys.d/vendor.pub").write_text(PrivateKey.generate().public.to_text())
    with pytest.raises(TrustError):
        lab.run("1.0.0")
    (lab.root / "etc/app/trusted-keys.d/vendor.pub").unlink()
    with pytest.raises(TrustError, match="trusts no key yet"):
        lab.run("1.0.0")


def test_damaged_member_is_a_rejection(lab: Lab, tmp_path: Path) -> None:
    content = bytearray(lab.bundles["1.0.0"].read_bytes())
    place = content.index(b"QFI\xfb") + 50
    content[place] ^= 1
    damaged = tmp_path / "damaged.bin"
    damaged.write_bytes(content)
    lab.bundles = {"1.0.0": damaged}
    with pytest.raises(IntegrityError, match="damaged"):
        lab.run("1.0.0")
    assert not lab.layout.prefix.exists()
    assert load_state(lab.layout) is None


@pytest.mark.parametrize("record", [2, 19, 32])
def test_killed_run_is_put_right_by_the_next_one(lab: Lab, record: int) -> None:
    """Killed after unpacking, in the middle, and when the state was written: the end is as if nobody had disturbed."""
    session = lab.session("1.0.0", INSTALL)
    prepared = flow.prepare(session, {})
    assert prepared.plan is not None
    child = os.fork()
    if child == 0:
        with exclusive(session.layout):
            host = replace(session.host, secrets=prepared.answers.secrets)
            run_plan(prepared.plan, session.layout, host, open_journal=killing(record, before=False))
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert "App 1.0.0 is installed." in "\n".join(lab.run("1.0.0"))
    assert lab.log() == ["migrated to 1.0.0", "set up with 20 characters"]
    assert "nothing to do" in "\n".join(lab.run("1.0.0"))


def test_status_and_releases(lab: Lab) -> None:
    lab.run("1.0.0")
    lab.run("1.1.0", UPGRADE)
    assert control.status(lab.found()).body["units"] == {"app.service": "active"}
    rows = control.releases(lab.found()).body
    assert [(row["version"], row["current"], row["can-roll-back-to"]) for row in rows] == [
        ("1.0.0", False, True),
        ("1.1.0", True, False),
    ]
    control.stop(lab.found())
    assert lab.systemd.active == set()
    control.start(lab.found())
    assert lab.systemd.active == {"app.service"}


def test_edits_and_new_defaults_are_merged_and_conflicts_shown_before(lab: Lab) -> None:
    lab.run("1.0.0")
    config = lab.layout.config_dir / "app.toml"
    config.write_text('# ours\n# app\nport = 8080\nnew_in = "mine"\n')
    findings = flow.prepare(lab.session("1.1.0", UPGRADE), {}).findings
    (found,) = [finding for finding in findings if finding.id == "config-conflict"]
    assert not found.strict
    assert f"{config}, line 4: " in found.seen and 'yours: new_in = "mine"' in found.seen
    assert 'new default: new_in = "1.1"' in found.seen
    before = lab.tree()
    with pytest.raises(PreflightError) as caught:
        lab.run("1.1.0", replace(UPGRADE, config_conflicts="refuse"))
    assert "config-conflict" in caught.value.details
    assert lab.tree() == before
    config.write_text('# ours\n# app\nport = 8080\nnew_in = "1.0"\n')
    lab.run("1.1.0", replace(UPGRADE, config_conflicts="refuse"))
    assert config.read_text() == '# ours\n# app\nport = 8080\nnew_in = "1.1"\n'
    assert not config.with_name("app.toml.new").exists()


def test_a_migration_that_fails_on_a_copy_is_a_refusal(lab: Lab) -> None:
    lab.run("1.0.0")
    (lab.layout.data_dir / "fail-rehearse").touch()
    before, calls = lab.tree(), len(lab.systemd.calls)
    with pytest.raises(PreflightError) as caught:
        lab.run("1.1.0", UPGRADE)
    assert (caught.value.code, caught.value.exit_code) == ("rehearsal-failed", ExitCode.PREFLIGHT)
    assert "the rehearsal was made to fail" in caught.value.details
    assert lab.tree() == before
    assert not any(call[:2] == ("systemctl", "stop") for call in lab.systemd.calls[calls:])


def test_a_downgrade_keeps_the_data_and_can_itself_be_gone_back_from(lab: Lab) -> None:
    lab.run("1.0.0")
    lab.run("1.1.0", UPGRADE)
    with pytest.raises(UsageError) as caught:
        lab.run("1.0.0", UPGRADE)
    assert caught.value.code == "version-lower" and "--allow-downgrade" in caught.value.remedy
    report = "\n".join(lab.run("1.0.0", replace(UPGRADE, allow_downgrade=True)))
    assert "App 1.0.0 is installed." in report and "To go back: app-ctl rollback --to 1.1.0" in report
    assert lab.log()[2:] == ["migrated to 1.1.0", "1.1.0 goes back to 1.0.0", "migrated to 1.0.0"]
    assert 'new_in = "1.0"' in (lab.layout.config_dir / "app.toml").read_text()
    control.rollback(lab.found(), "1.1.0", lambda plan: True)
    assert lab.log()[-1] == "migrated to 1.1.0"


def test_it_is_said_how_long_the_product_was_away(lab: Lab) -> None:
    assert "was away" not in "\n".join(lab.run("1.0.0"))
    assert re.search(r"^  was away: +\d+\.\d s$", "\n".join(lab.run("1.1.0", UPGRADE)), re.MULTILINE)
    (log,) = [text for path in lab.layout.log_dir.glob("install-*") if "upgrade" in (text := path.read_text())]
    assert re.search(r"Z the product was away, from its stop until it answered: \d+\.\d s$", log, re.MULTILINE)


def test_data_that_is_elsewhere_gets_its_schema_back_by_the_product(lab: Lab) -> None:
    """Elsewhere is a database server, or here a file that the manifest does not name."""
    lab.run("1.0.0")
    elsewhere = lab.layout.data_dir / "elsewhere"
    elsewhere.mkdir()
    (lab.layout.data_dir / "app.sqlite").rename(elsewhere / "app.sqlite")
    lab.systemd.refuses = True
    with pytest.raises(SealiftError) as caught:
        lab.run("1.1.0", UPGRADE)
    assert caught.value.exit_code == ExitCode.ROLLED_BACK
    moved = ["migrated to 1.1.0", "1.1.0 goes back to 1.0.0"]
    assert lab.log(elsewhere)[2:] == moved
    lab.systemd.refuses = False
    lab.run("1.1.0", UPGRADE)
    report = "\n".join(control.rollback(lab.found(), None, lambda plan: True))
    assert "The newer configuration is in" in report
    assert lab.log(elsewhere)[2:] == moved * 2
    lab.systemd.refuses = True
    with pytest.raises(SealiftError):
        control.rollback(lab.found(), "1.1.0", lambda plan: True)
    assert lab.log(elsewhere)[2:] == moved * 3
    lab.systemd.refuses = False
    control.rollback(lab.found(), "1.1.0", lambda plan: True)
    assert lab.log(elsewhere)[2:] == [*moved * 3, "migrated to 1.1.0"]
