"""Things that are made once."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab.cache import Cache, default_folder, digest_of


def test_made_once_even_when_wanted_at_the_same_time(tmp_path: Path) -> None:
    made: list[Path] = []

    def make(folder: Path) -> None:
        made.append(folder)
        (folder / "content").write_text("x")

    with ThreadPoolExecutor(4) as pool:
        found = {future.result() for future in [pool.submit(Cache(tmp_path).item, "it", "k", make) for _ in range(4)]}
    assert len(found) == 1
    assert len(made) == 1
    assert (found.pop() / "content").read_text() == "x"


def test_a_failure_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("x")
        raise ValueError

    with pytest.raises(ValueError):
        Cache(tmp_path).item("it", "k", fail)
    assert not list(tmp_path.glob("it-*"))


def test_an_item_that_nobody_can_be_using_goes_away(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    ancient, recent = (cache.item("it", key, lambda folder: None) for key in ("ancient", "recent"))
    os.utime(ancient, (0, 0))
    cache.item("it", "new", lambda folder: None)
    assert not ancient.exists()
    assert recent.is_dir()


def test_digests_tell_where_a_part_ends() -> None:
    assert digest_of("ab", "c") != digest_of("a", "bc")


def test_folder_is_chosen_by_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEALIFT_LAB_CACHE", str(tmp_path))
    assert default_folder() == tmp_path
    monkeypatch.delenv("SEALIFT_LAB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_folder() == tmp_path / "sealift/lab"
