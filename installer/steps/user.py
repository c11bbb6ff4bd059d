"""The system user that owns the product's data and runs its commands."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Step, register

_ACCOUNTS = Path("/etc")
_ACCOUNT_FILES = ("passwd", "shadow", "group", "gshadow", "subuid", "subgid")


@dataclass(frozen=True, slots=True)
class UserBefore:
    """Was the user there already?"""

    existed: bool


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class MakeUser(Step[UserBefore]):
    """Make a system user without a login and with a group of its own."""

    kind: ClassVar[str] = "user"
    undo_type: ClassVar[type[Any]] = UserBefore
    user: str
    home: Path

    @override
    def describe(self) -> str:
        return f"make the system user {self.user}"

    @override
    def undone(self) -> str:
        return "remove the user if it is new"

    @override
    def prepare(self, host: Host) -> UserBefore:
        return UserBefore(_exists(self.user, host))

    @override
    def apply(self, host: Host, undo: UserBefore) -> None:
        if undo.existed:
            return
        home = ("--home-dir", str(self.home), "--no-create-home")
        host.run(("useradd", "--system", "--user-group", *home, "--shell", "/usr/sbin/nologin", self.user))

    @override
    def undo(self, undo: UserBefore, host: Host) -> None:
        if not undo.existed and _exists(self.user, host):
            host.run(("userdel", self.user))
        remove_stale_locks(_ACCOUNTS)


def _exists(user: str, host: Host) -> bool:
    return host.run(("getent", "passwd", user), check=False).returncode == 0


def remove_stale_locks(folder: Path) -> None:
    """Remove what a killed `useradd` or `userdel` left beside the account files in `folder`.

    A lock is made as `passwd.PID`, gets its name `passwd.lock`, and holds the PID; the new file is written as `passwd+`
    (shadow's lib/commonio.c). Their own tools take a lock as stale when that process is gone, but only once they have
    something to do.
    """
    for name in _ACCOUNT_FILES:
        lock = folder / f"{name}.lock"
        pid = _content(lock)
        if _ended(pid):
            (folder / f"{name}+").unlink(missing_ok=True)
            lock.unlink()
        for path in folder.glob(f"{name}.[0-9]*"):
            pid = path.suffix[1:]
            if _ended(pid) and _content(path) in {"", pid}:  # not somebody's copy that is called so
                path.unlink()


def _content(path: Path) -> str | None:
    """None: it is no file, or not there."""
    return path.read_bytes().rstrip(b"\0").decode(errors="replace") if path.is_file() else None


def _ended(pid: str | None) -> bool:
    """Whether that is a process and runs no longer."""
    if pid is None or not re.fullmatch("[1-9][0-9]{0,6}", pid):
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    return False
