"""A write that was killed leaves a file beside; the next write of the same file removes it."""

from __future__ import annotations

import sys
from pathlib import Path

from installer.writing import write_file
from payload.effects import run
from tests.paths import CHECKOUT


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
