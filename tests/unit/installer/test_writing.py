"""A killed write leaves a file beside, which the next one removes. What cannot be written is found out at once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from installer.journal import Journal
from installer.lock import exclusive
from installer.logged import run_logged
from installer.writing import write_file
from payload.effects import run
from payload.errors import ExitCode, PreflightError
from tests.paths import CHECKOUT
from tests.unit.installer.crashing import host_of, layout_of, plan_of


def test_the_next_write_clears_up(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from installer.writing import write_file\n"
        "os.fsync = lambda fd: os.kill(os.getpid(), 9)\n"
        "write_file(pathlib.Path(sys.argv[1]), b'half')"
    )
    path = tmp_path / "file"
    for _ in range(2):
        assert run([sys.executable, "-c", code, path], cwd=CHECKOUT, check=False).returncode == -9
        assert len([*tmp_path.iterdir()]) == 1
    write_file(path, b"whole", mode=0o600)
    assert [*tmp_path.iterdir()] == [path]
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"whole", 0o600)


def test_no_run_without_its_lock(tmp_path: Path) -> None:
    layout = layout_of(tmp_path)
    layout.lock_file.mkdir(parents=True)
    with pytest.raises(PreflightError, match=r"cannot write .*/lock: Is a directory") as caught, exclusive(layout):
        pass
    assert caught.value.exit_code == ExitCode.PREFLIGHT
    assert str(layout.state_dir) in caught.value.remedy


def test_no_run_without_its_journal(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("no folder")
    with pytest.raises(PreflightError, match="cannot-record"):
        Journal(tmp_path / "journal/1.jsonl")


def test_no_run_without_its_log(tmp_path: Path) -> None:
    layout = layout_of(tmp_path)
    layout.log_dir.parent.mkdir(parents=True, exist_ok=True)
    layout.log_dir.write_text("no folder")
    with pytest.raises(PreflightError, match="nothing was changed"):
        run_logged(plan_of(tmp_path), layout, host_of(tmp_path))
    assert not layout.journal_dir.exists()
