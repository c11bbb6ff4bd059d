"""One control group per lab process tree: systemd in a host needs its own, and it names exactly what we started."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

from tests.lab.process import LabError

_MOUNT = Path("/sys/fs/cgroup")
_PREFIX = "sealift-lab."


def hierarchies() -> list[Path]:
    """The cgroup trees that systemd uses: one where cgroup v2 is alone, two where v1 lives beside it."""
    if (_MOUNT / "cgroup.procs").exists():
        return [_MOUNT]
    return [_MOUNT / name for name in ("systemd", "unified") if (_MOUNT / name / "cgroup.procs").exists()]


def group_folders(run_id: str, name: str) -> list[Path]:
    """The cgroup folders of the tree `name` in the run, made now.

    Raises:
        LabError: this machine has no cgroups that systemd could use.
    """
    folders = [base / f"{_PREFIX}{run_id}" / name for base in hierarchies()]
    if not folders:
        raise LabError(f"no cgroup tree that systemd uses is mounted below {_MOUNT}")
    for folder in folders:
        folder.mkdir(parents=True, exist_ok=True)
    return folders


def _folders(run_id: str, name: str) -> list[Path]:
    return [folder for base in hierarchies() if (folder := base / f"{_PREFIX}{run_id}" / name).is_dir()]


def _groups_below(folder: Path) -> Iterator[Path]:
    for parent, _, _ in os.walk(folder, topdown=False):
        yield Path(parent)


def pids(run_id: str, name: str = "") -> set[int]:
    """Every process in the tree `name` of the run; without a name, in all its trees."""
    found: set[int] = set()
    for folder in _folders(run_id, name):
        for group in _groups_below(folder):
            with contextlib.suppress(OSError):
                found |= {int(line) for line in (group / "cgroup.procs").read_text().split()}
    return found - {0}


def kill(run_id: str, name: str = "", timeout: float = 300) -> None:
    """SIGKILL every process of the tree, until there is none, and remove its groups.

    Raises:
        TimeoutError: something survived.
    """
    deadline = time.monotonic() + timeout
    while left := pids(run_id, name):
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if time.monotonic() > deadline:
            raise TimeoutError(f"cannot kill {sorted(left)}")
        time.sleep(0.02)
    remove(run_id, name)


def remove(run_id: str, name: str = "") -> None:
    """Remove the empty groups of the tree."""
    for folder in _folders(run_id, name):
        for group in _groups_below(folder):
            deadline = time.monotonic() + 30
            while time.monotonic() < deadline:
                try:
                    group.rmdir()
                except FileNotFoundError:
                    break
                except OSError:  # a process that was just killed is still being reaped
                    time.sleep(0.02)
                else:
                    break


def runs() -> list[str]:
    """The ids of the runs that have groups on this machine."""
    found = (path.name for base in hierarchies() for path in base.glob(f"{_PREFIX}*"))
    return sorted({name.removeprefix(_PREFIX) for name in found})
