"""The contents of a folder change places, and come back from any place in between."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.steps import Host, SwapContents, dump_step, dump_undo, load_step, load_undo
from installer.steps.swap import NamesBefore


def texts(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(scratch=tmp_path / "scratch")


@pytest.fixture
def step(tmp_path: Path) -> SwapContents:
    folder, new = tmp_path / "folder", tmp_path / "folder/.new"
    new.mkdir(parents=True)
    for name in ("only-old", "both", "kept", "sub/deep", "db", "db-wal"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"old {name}")
    for name in ("only-new", "both", "sub"):
        (new / name).write_text(f"new {name}")
    return SwapContents(folder=folder, new=new, aside=folder / ".aside", keep=("kept",), reason="a test")


def test_all_of_it_and_back(step: SwapContents, host: Host) -> None:
    before = {name: text for name, text in texts(step.folder).items() if not name.startswith(".new")}
    undo = step.prepare(host)
    step.undo(undo, host)  # intended, and then the crash
    step.apply(host, undo)
    assert {name: text for name, text in texts(step.folder).items() if not name.startswith(".aside")} == {
        "both": "new both", "kept": "old kept", "only-new": "new only-new", "sub": "new sub",
    }  # fmt: skip
    (step.folder / "appeared").write_text("of what is taken away")
    for _ in range(2):
        step.undo(load_undo(step, dump_undo(step, undo)), host)
        assert texts(step.folder) == before
    assert load_step(dump_step(step)) == step


def test_the_commit_removes_what_was_there(step: SwapContents, host: Host) -> None:
    undo = step.prepare(host)
    step.apply(host, undo)
    for _ in range(2):
        step.cleanup(undo, host)
        assert set(texts(step.folder)) == {"both", "kept", "only-new", "sub"}


@pytest.mark.parametrize("moved", range(7))
def test_back_from_the_middle(step: SwapContents, host: Host, moved: int) -> None:
    """A crash came after so many renames."""
    before = {name: text for name, text in texts(step.folder).items() if not name.startswith(".new")}
    undo = step.prepare(host)
    assert undo == NamesBefore(("both", "db", "db-wal", "only-old", "sub"))
    step.aside.mkdir()
    renames = [(step.folder / name, step.aside / name) for name in undo.old]
    renames += [(step.new / name, step.folder / name) for name in ("both", "only-new", "sub")]
    for source, target in renames[:moved]:
        source.rename(target)
    for _ in range(2):
        step.undo(undo, host)
        found = {name: text for name, text in texts(step.folder).items() if not name.startswith(".new")}
        assert found == before


def test_what_sqlite_wrote_beside_a_database_that_stayed_stays(step: SwapContents, host: Host) -> None:
    (step.folder / "db-wal").unlink()
    undo = step.prepare(host)
    step.aside.mkdir()
    (step.folder / "both").rename(step.aside / "both")
    (step.folder / "db-wal").write_text("written after a reboot in the middle")
    step.undo(undo, host)
    assert (step.folder / "db-wal").exists() and (step.folder / "both").read_text() == "old both"
