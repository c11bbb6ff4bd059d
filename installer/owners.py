"""Users and groups by name and by number. Who has no name goes by the number."""

from __future__ import annotations

import grp
import pwd


def user_name(uid: int) -> str:
    """The name of a user, or the number if nobody has it."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def group_name(gid: int) -> str:
    """The name of a group, or the number if none has it."""
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


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
