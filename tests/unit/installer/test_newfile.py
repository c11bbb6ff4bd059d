from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from installer.newfile import created
from payload.errors import UsageError


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system with room for 64 KB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "small", tmp_path], check=True)
    yield tmp_path
    subprocess.run(["umount", tmp_path], check=True)


def test_a_full_disk_is_said_and_leaves_nothing(small: Path) -> None:
    with (
        pytest.raises(UsageError, match="No space left on device") as caught,
        created(small / "new", code="unwritable", remedy="make room") as file,
    ):
        for _ in range(100):
            file.write(bytes(4096))
    assert (caught.value.code, caught.value.remedy) == ("unwritable", "make room")
    assert list(small.iterdir()) == []


def test_what_lies_there_stays(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("mine")
    with pytest.raises(UsageError, match="File exists"), created(tmp_path / "old", code="x", remedy="y"):
        raise AssertionError
    assert (tmp_path / "old").read_text() == "mine"
