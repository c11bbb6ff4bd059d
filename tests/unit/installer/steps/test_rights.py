"""Modes and owners, set and set back; and a folder that waits beside what takes its place."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from installer.steps import Host, SetAside, SetRights, dump_step, dump_undo, load_step, load_undo
from installer.steps.rights import Rights
from payload.errors import StepError


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(scratch=tmp_path / "scratch")


def test_rights_come_and_go(tmp_path: Path, host: Host) -> None:
    path = tmp_path / "data/key"
    path.parent.mkdir()
    path.write_text("key")
    path.chmod(0o644)
    os.chown(path, 1, 1)
    rights = Rights(path=path, top=tmp_path, mode=0o4750, user="root", group="root")
    step = SetRights(files=(rights,), reason="a test")
    undo = step.prepare(host)
    step.apply(host, undo)
    info = path.stat()
    assert (info.st_mode & 0o7777, info.st_uid, info.st_gid) == (0o4750, 0, 0)
    for _ in range(2):
        step.undo(load_undo(step, dump_undo(step, undo)), host)
        info = path.stat()
        assert (info.st_mode & 0o7777, info.st_uid, info.st_gid) == (0o644, 1, 1)
    assert load_step(dump_step(step)) == step


def test_no_link_is_followed_where_others_can_lay_one(tmp_path: Path, host: Host) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "key").write_text("of somebody else")
    (tmp_path / "data").mkdir()
    (tmp_path / "data/ssh").symlink_to(elsewhere)
    (tmp_path / "data/key").symlink_to(elsewhere / "key")
    for path in (tmp_path / "data/ssh/key", tmp_path / "data/key"):
        step = SetRights(files=(Rights(path, tmp_path / "data", 0o777, "root", "root"),), reason="a test")
        with pytest.raises(OSError):
            step.prepare(host)


@pytest.mark.parametrize("place", ["", "lib"])
def test_nothing_that_is_mounted_in_a_folder_is_moved_or_removed_with_it(
    tmp_path: Path, host: Host, place: str
) -> None:
    elsewhere, folder = tmp_path / "elsewhere", tmp_path / "a venv"
    (elsewhere / "lib").mkdir(parents=True)
    (elsewhere / "of somebody else").touch()
    (folder / "lib").mkdir(parents=True)
    subprocess.run(["mount", "--bind", elsewhere, folder / place], check=True)
    try:
        with pytest.raises(StepError) as caught:
            SetAside(path=folder, reason="a test").prepare(host)
    finally:
        subprocess.run(["umount", folder / place], check=True)
    assert caught.value.code == "mounted-inside"
    assert caught.value.details == str(folder / place)
    assert caught.value.remedy.startswith(f"umount -l '{folder / place}'; ")
    assert (elsewhere / "of somebody else").exists()
    SetAside(path=folder, reason="a test").prepare(host)


def test_what_was_set_aside_comes_back(tmp_path: Path, host: Host) -> None:
    folder = tmp_path / "venv"
    folder.mkdir()
    (folder / "old").touch()
    step = SetAside(path=folder, reason="a test")
    undo = step.prepare(host)
    step.undo(undo, host)  # intended, and then the crash
    assert (folder / "old").exists()
    step.apply(host, undo)
    folder.mkdir()
    (folder / "new").touch()
    for _ in range(2):
        step.undo(undo, host)
        assert [path.name for path in folder.iterdir()] == ["old"]
    step.apply(host, undo)
    with pytest.raises(StepError):
        step.prepare(host)
    for _ in range(2):
        step.cleanup(undo, host)
        assert not any(tmp_path.iterdir())
