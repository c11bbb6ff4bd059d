"""One run at a time, per product and per inventory: locks that die with their holder and all that it started."""

from __future__ import annotations

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from installer.layout import Layout
from installer.writing import must_write
from payload.effects import inherited
from payload.errors import BusyError, TrustError, UsageError


def require_root() -> None:
    """Only root may go on.

    Raises:
        UsageError: somebody else is here.
    """
    if os.geteuid() != 0:
        raise UsageError("not-root", "only root may change this host", remedy="run it with sudo, or as root")


def check_private(folder: Path) -> None:
    """Refuse a state folder that somebody else could have written: its parent belongs to the product's user.

    Raises:
        TrustError: it is a link, or another user owns or can write it.
    """
    try:
        info = folder.lstat()
    except (FileNotFoundError, PermissionError):  # who may not see it is not root, and takes nothing from it
        return
    if not stat.S_ISDIR(info.st_mode) or info.st_uid not in {0, os.geteuid()} or info.st_mode & 0o022:
        raise TrustError(
            "state-not-private",
            f"{folder} is not a folder that only root can write",
            details=f"owner {info.st_uid}, mode {stat.S_IMODE(info.st_mode):04o}",
            remedy="find out who changed it; what lies in it cannot be trusted",
        )


@contextmanager
def exclusive(layout: Layout) -> Iterator[None]:
    """Hold the product's lock; its folder is made when it is not there.

    Raises:
        BusyError: another process holds it; names that process.
        PreflightError: it cannot be made or written.
    """
    with must_write(layout.lock_file):
        layout.data_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        layout.state_dir.mkdir(mode=0o700, exist_ok=True)
        check_private(layout.state_dir)
        fd = os.open(layout.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        if not _taken(fd):
            pid = _named(fd)
            raise BusyError(
                "busy",
                f"another run for {layout.product} is at work (process {pid})",
                remedy=f"wait until it, and all that it started, has ended; look at it with: ps -fp {pid}",
            )
        with must_write(layout.lock_file):
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        with inherited(fd):  # a dnf whose installer was killed works on: nobody may undo beside it
            try:
                yield
            finally:
                os.ftruncate(fd, 0)  # nobody is named who is gone
    finally:
        os.close(fd)


def holder(layout: Layout) -> str | None:
    """The process that holds the product's lock; `None` when nobody does, or when only root may know."""
    try:
        fd = os.open(layout.lock_file, os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):
        return None
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _named(fd)
    finally:
        os.close(fd)
    return None


@contextmanager
def alone(inventory: Path) -> Iterator[None]:
    """Be the only one who upgrades the nodes of the file `inventory`.

    Raises:
        BusyError: somebody else does.
    """
    fd = os.open(inventory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if not _taken(fd):
            raise BusyError(
                "nodes-busy",
                f"another upgrade of the nodes of {inventory} is at work",
                remedy="wait until it, and all that it started, has ended; lslocks shows which process it is",
            )
        with inherited(fd):
            yield
    finally:
        os.close(fd)


def _taken(fd: int) -> bool:
    """Take the lock; who only looks whether it is held has it for an instant, so a second try is made."""
    for pause in (0.1, 0):
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            time.sleep(pause)
        else:
            return True
    return False


def _named(fd: int) -> str:
    return os.pread(fd, 32, 0).decode(errors="replace").strip() or "unknown"
