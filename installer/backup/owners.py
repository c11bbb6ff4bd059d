"""Owners travel by name: the same user has another number on another host."""

from __future__ import annotations

from collections.abc import Callable

from installer.backup.contents import Contents
from installer.owners import group_id, user_id
from payload.errors import UsageError


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
