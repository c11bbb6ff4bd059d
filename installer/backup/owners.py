"""Owners travel by name: the same user has another number on another host."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Callable

from installer.backup.contents import Contents
from payload.errors import UsageError


def user_id(name: str) -> int:
    """The number of a user, who may be given as one.

    Raises:
        KeyError: there is no such user.
    """
    return int(name) if name.isdigit() else pwd.getpwnam(name).pw_uid


def group_id(name: str) -> int:
    """The number of a group, which may be given as one.

    Raises:
        KeyError: there is no such group.
    """
    return int(name) if name.isdigit() else grp.getgrnam(name).gr_gid


def check_owners(contents: Contents) -> None:
    """All owners must be known here.

    Raises:
        UsageError: some are not; names all of them.
    """
    users = {f"user {item.user}" for item in contents.items if not _known(user_id, item.user)}
    groups = {f"group {item.group}" for item in contents.items if not _known(group_id, item.group)}
    if unknown := sorted(users | groups):
        raise UsageError(
            "owner-unknown",
            "files of the backup belong to somebody whom this host does not know",
            details=", ".join(unknown),
            remedy="make them on this host, and run the same command again",
        )


def _known(number: Callable[[str], int], name: str) -> bool:
    try:
        number(name)
    except KeyError:
        return False
    return True
