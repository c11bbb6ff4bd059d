from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from installer.steps import Host, WriteConfig
from installer.steps.config import RenderedConfig


def step_for(*files: RenderedConfig) -> WriteConfig:
    return WriteConfig(files=files, user="root", reason="a test")


def test_an_edited_file_is_merged_and_undone_to_content_and_mode(tmp_path: Path) -> None:
    edited, fresh, shipped = tmp_path / "edited", tmp_path / "sub/fresh", tmp_path / "shipped"
    edited.write_text("mine\nb\nc\n")
    edited.chmod(0o600)
    host = Host(scratch=tmp_path / "scratch")
    step = step_for(
        RenderedConfig(edited, "new a\nb\nnew c\n", 0o640, shipped / "edited", "a\nb\nc\n"),
        RenderedConfig(fresh, "new\n", 0o640, shipped / "sub/fresh"),
    )
    undo = step.prepare(host)
    step.apply(host, undo)
    assert edited.read_text() == "mine\nb\nnew c\n"
    assert (tmp_path / "edited.new").read_text() == (shipped / "edited").read_text() == "new a\nb\nnew c\n"
    assert fresh.stat().st_mode & 0o777 == 0o640
    for _ in range(2):
        step.undo(undo, host)
        assert (edited.read_text(), edited.stat().st_mode & 0o777) == ("mine\nb\nc\n", 0o600)
        assert not fresh.exists() and not (tmp_path / "edited.new").exists()


def test_what_a_killed_write_left_goes_when_it_is_undone_and_when_it_is_done_again(tmp_path: Path) -> None:
    path, shipped = tmp_path / "etc/app.toml", tmp_path / "release/shipped/app.toml"
    for folder in (path.parent, shipped.parent):
        folder.mkdir(parents=True)
    host = Host(scratch=tmp_path / "scratch")
    step = step_for(RenderedConfig(path, "new\n", 0o640, shipped))
    undo = step.prepare(host)
    ways: tuple[Callable[[], None], ...] = (lambda: step.undo(undo, host), lambda: step.apply(host, undo))
    for act in ways:
        for file in (path, shipped):
            file.with_name(f".{file.name}.sealift-cut-off").touch()
        act()
        assert not [each for file in (path, shipped) for each in file.parent.glob(".*")]


def test_a_file_of_any_bytes_and_a_link_stay_the_operators(tmp_path: Path) -> None:
    raw, link, real = tmp_path / "raw", tmp_path / "link", tmp_path / "real"
    raw.write_bytes(b"\xff mine\nb\nc\n")
    real.write_text("mine\nb\nc\n")
    link.symlink_to(real)
    host = Host(scratch=tmp_path / "scratch")
    step = step_for(*(RenderedConfig(path, "a\nb\nnew\n", 0o640, tmp_path / "s", "a\nb\nc\n") for path in (raw, link)))
    step.apply(host, step.prepare(host))
    assert raw.read_bytes() == b"\xff mine\nb\nnew\n"
    assert link.is_symlink() and real.read_text() == "mine\nb\nc\n"
    assert (tmp_path / "link.new").read_text() == "a\nb\nnew\n"
