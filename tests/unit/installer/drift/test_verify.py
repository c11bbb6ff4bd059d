"""What drifted of a really installed product: everything that was changed is named, and nothing else."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from installer.drift.command import verified
from installer.drift.model import Finding
from installer.drift.verify import verify
from installer.steps.stage import INDEX_NAME
from payload.errors import ExitCode, IntegrityError
from tests.unit.installer.lab import UPGRADE, Lab

SITE = "venv/lib/python3*/site-packages"


def found(lab: Lab) -> dict[str, Finding]:
    return {finding.subject: finding for finding in verify(lab.found()).findings}


def release(lab: Lab) -> Path:
    return lab.layout.release("1.0.0")


def in_environment(lab: Lab, name: str) -> Path:
    (path,) = release(lab).glob(f"{SITE}/{name}")
    return path


@pytest.fixture
def installed(lab: Lab) -> Lab:
    lab.run("1.0.0")
    return lab


def test_a_fresh_install_has_no_drift_and_looking_changes_nothing(installed: Lab) -> None:
    before = installed.tree()
    view, code = verified(installed.found())
    assert (code, view.body["findings"]) == (ExitCode.OK, [])
    assert view.body["compared"] > 20
    assert len(view.lines) == 1 and "all as it was installed" in view.lines[0]
    assert installed.tree() == before


def test_after_an_upgrade_and_use_there_is_none_either(lab: Lab) -> None:
    lab.run("1.0.0")
    lab.run("1.1.0", UPGRADE)
    (lab.layout.data_dir / "made-by-the-product").write_text("data")
    cache = next(lab.layout.release("1.1.0").glob(f"{SITE}/__pycache__"))
    (cache / "app_tool.cpython-399.pyc").write_bytes(b"later")
    (lab.layout.release("1.1.0") / "shipped-config/app.toml").write_text("whatever")
    assert verify(lab.found()).findings == ()


def test_everything_that_can_drift_is_named_with_where_it_can_be_had(installed: Lab) -> None:
    layout, folder = installed.layout, release(installed)
    unit = layout.units_dir / "app.service"
    (folder / "tools/large.data").write_bytes(b"other")
    (folder / "wheels/server/requirements.txt").chmod(0o600)
    (folder / "images/small.qcow2").unlink()
    in_environment(installed, "app_tool.py").write_text("evil = True\n")
    (folder / "venv/bin/app-admin").write_text("#!/bin/sh\n")
    unit.write_text(unit.read_text() + "# more\n")
    installed.systemd.enabled.clear()
    (layout.commands_dir / "app-admin").unlink()
    (layout.commands_dir / "app-admin").symlink_to("/bin/true")
    layout.ctl.chmod(0o777)
    layout.current.unlink()
    layout.current.mkdir()
    layout.config_dir.chmod(0o777)
    os.chown(layout.config_dir / "admin_password", 1, 1)
    (layout.data_dir / "ssh/id_ed25519").unlink()
    seen = {subject: (finding.kind, finding.fix) for subject, finding in found(installed).items()}
    assert seen == {
        str(folder / "tools/large.data"): ("changed", "bundle"),
        str(folder / "wheels/server/requirements.txt"): ("mode", "host"),
        str(folder / "images/small.qcow2"): ("missing", "bundle"),
        str(in_environment(installed, "app_tool.py")): ("changed", "host"),
        str(folder / "venv/bin/app-admin"): ("changed", "host"),
        str(unit): ("changed", "host"),
        "app.service": ("disabled", "host"),
        str(layout.commands_dir / "app-admin"): ("changed", "host"),
        str(layout.ctl): ("mode", "host"),
        str(layout.current): ("changed", "host"),
        str(layout.config_dir): ("mode", "host"),
        str(layout.config_dir / "admin_password"): ("owner", "host"),
        str(layout.data_dir / "ssh/id_ed25519"): ("missing", "backup"),
    }
    view, code = verified(installed.found())
    assert code == ExitCode.INTEGRITY
    assert len([line for line in view.lines if line.startswith(("changed: ", "missing: ", "mode: "))]) == 11
    advice = "\n".join(view.lines)
    assert "app-ctl verify --repair puts 10 back" in advice
    assert "bash app-installer-1.0.0.bin -o puts 2 back" in advice


@pytest.mark.parametrize(
    "replace",
    [lambda path: path.symlink_to("/etc/passwd"), lambda path: path.mkdir(), os.mkfifo],
    ids=["link", "folder", "pipe"],
)
def test_something_else_in_the_place_of_a_file_is_not_read(installed: Lab, replace: Callable[[Path], None]) -> None:
    path = release(installed) / "tools/large.data"
    path.unlink()
    replace(path)
    assert found(installed)[str(path)].text == "it is no file any more"


def test_an_edited_file_is_said_to_be_edited_and_is_no_drift(installed: Lab) -> None:
    config = installed.layout.config_dir / "app.toml"
    config.write_text("port = 1\n")
    config.chmod(0o604)
    view, code = verified(installed.found())
    assert code == ExitCode.OK
    assert [(row["kind"], row["subject"], row["drift"]) for row in view.body["findings"]] == [
        ("edited", str(config), False)
    ]
    config.unlink()
    assert found(installed)[str(config)].kind == "missing"


def test_a_list_of_files_that_is_not_the_installed_one_is_refused(installed: Lab) -> None:
    path = release(installed) / INDEX_NAME
    good = path.read_text()
    body = json.loads(good)
    body["entries"][0]["mode"] = 0o777
    for text in (json.dumps(body), "{", ""):
        path.write_text(text)
        with pytest.raises(IntegrityError) as caught:
            verify(installed.found())
        assert caught.value.code == "anchor-broken"
    path.unlink()
    with pytest.raises(IntegrityError, match="nothing can be compared"):
        verify(installed.found())
    assert "is repaired" in "\n".join(installed.run("1.0.0"))
    assert path.read_text() == good
    assert verify(installed.found()).findings == ()


def test_what_is_rendered_from_a_damaged_template_is_not_believed(installed: Lab) -> None:
    template = release(installed) / "templates/units/app.service.j2"
    template.write_text("[Service]\nExecStart=/bin/false\n")
    seen = found(installed)
    assert seen[str(template)].fix == "bundle"
    assert [finding.kind for finding in seen.values()] == ["unchecked", "changed"]


def test_an_environment_is_not_compared_with_a_damaged_wheel(installed: Lab) -> None:
    (wheel,) = (release(installed) / "wheels/server").glob("*.whl")
    wheel.write_bytes(b"PK")
    seen = found(installed)
    assert (seen[str(wheel)].kind, seen[str(release(installed) / "venv")].kind) == ("changed", "unchecked")


def test_a_run_that_was_cut_off_is_named(installed: Lab) -> None:
    journal = sorted(installed.layout.journal_dir.glob("*.jsonl"))[-1]
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    (finding,) = verify(installed.found()).findings
    assert (finding.kind, finding.subject) == ("unfinished", str(journal))
