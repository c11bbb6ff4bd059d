"""A run that cannot write its lock, journal or log does not begin: it is a finding about the host, not a defect."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.journal import Journal
from installer.lock import exclusive
from installer.logged import run_logged
from payload.errors import ExitCode, PreflightError
from tests.unit.installer.crashing import host_of, layout_of, plan_of


def test_no_lock(tmp_path: Path) -> None:
    layout = layout_of(tmp_path)
    layout.lock_file.mkdir(parents=True)
    with pytest.raises(PreflightError, match=r"cannot write .*/lock: Is a directory") as caught, exclusive(layout):
        pass
    assert caught.value.exit_code == ExitCode.PREFLIGHT
    assert str(layout.state_dir) in caught.value.remedy


def test_no_journal(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("no folder")
    with pytest.raises(PreflightError, match="cannot-record"):
        Journal(tmp_path / "journal/1.jsonl")


def test_no_log(tmp_path: Path) -> None:
    layout = layout_of(tmp_path)
    layout.log_dir.parent.mkdir(parents=True, exist_ok=True)
    layout.log_dir.write_text("no folder")
    with pytest.raises(PreflightError, match="nothing was changed"):
        run_logged(plan_of(tmp_path), layout, host_of(tmp_path))
    assert not layout.journal_dir.exists()
