"""The system user that owns the product's data and runs its commands."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Step, register


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


def _exists(user: str, host: Host) -> bool:
    return host.run(("getent", "passwd", user), check=False).returncode == 0
