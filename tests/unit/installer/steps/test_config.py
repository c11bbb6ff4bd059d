from __future__ import annotations

from pathlib import Path

import pytest

from installer.steps import Host, WriteConfig
from installer.steps.config import Choice, RenderedConfig, choose

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")


@pytest.mark.parametrize(
    ("found", "before", "new", "choice"),
    [
        (None, None, A, "write"),
        (None, A, B, "write"),
        (A, A, B, "write"),
        (A, A, A, "keep"),
        (B, A, B, "keep"),
        (C, A, A, "keep"),
        (C, A, B, "keep-and-show"),
        (C, None, A, "keep-and-show"),
        (A, None, A, "keep"),
    ],
)
def test_edits_win(found: str | None, before: str | None, new: str, choice: Choice) -> None:
    assert choose(found, before, new) == choice


def test_undo_after_apply_twice_brings_back_content_and_mode(tmp_path: Path) -> None:
    edited, fresh = tmp_path / "edited", tmp_path / "sub/fresh"
    edited.write_text("mine\n")
    edited.chmod(0o600)
    host = Host(scratch=tmp_path / "scratch")
    files = (RenderedConfig(edited, "new default\n", 0o640, A), RenderedConfig(fresh, "new\n", 0o640))
    step = WriteConfig(files=files, user="root", reason="a test")
    undo = step.prepare(host)
    step.apply(host, undo)
    assert edited.read_text() == "mine\n"
    assert (tmp_path / "edited.new").read_text() == "new default\n"
    assert fresh.stat().st_mode & 0o777 == 0o640
    for _ in range(2):
        step.undo(undo, host)
        assert (edited.read_text(), edited.stat().st_mode & 0o777) == ("mine\n", 0o600)
        assert not fresh.exists() and not (tmp_path / "edited.new").exists()
