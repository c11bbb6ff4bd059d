"""What a killed `useradd` leaves."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from installer.steps.user import remove_stale_locks


def test_locks_of_the_dead_go_and_others_stay(tmp_path: Path) -> None:
    dead = subprocess.Popen(["true"])
    dead.wait()
    for name, content in {
        "passwd": "root:x:0:0::/:/bin/sh\n",
        "passwd.lock": f"{dead.pid}\0",
        "passwd+": "half",
        f"passwd.{dead.pid}": f"{dead.pid}\0",
        "shadow.lock": str(dead.pid),
        f"gshadow.{dead.pid}": "",
        f"group.{dead.pid}": "a copy",
        f"subgid.{os.getpid()}": "",
        "passwd.2024-01-01": "a copy",
        "group.lock": f"{os.getpid()}\0",
        "group+": "theirs",
        "gshadow.lock": "",
        "subuid.lock": "nobody",
    }.items():
        (tmp_path / name).write_text(content)
    for _ in range(2):
        remove_stale_locks(tmp_path)
        left = {path.name for path in tmp_path.iterdir()}
        kept = {f"group.{dead.pid}", f"subgid.{os.getpid()}", "passwd.2024-01-01"}
        assert left == {"passwd", "group.lock", "group+", "gshadow.lock", "subuid.lock", *kept}
