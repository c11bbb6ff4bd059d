"""Which users there are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from installer.facts.reading import answer
from installer.steps import Host


@dataclass(frozen=True, slots=True)
class Account:
    """A user of the host."""

    uid: int
    home: str
    shell: str


def accounts(users: Iterable[str], host: Host) -> dict[str, Account]:
    """Each of `users` that exists."""
    rows = {user: (answer(host, "getent", "passwd", user) or "").split(":") for user in users}
    return {user: Account(int(row[2]), row[5], row[6]) for user, row in rows.items() if len(row) > 6}


def homes(users: Iterable[str], host: Host) -> dict[str, str]:
    """Home folder of each of `users` that exists."""
    return {user: account.home for user, account in accounts(users, host).items()}
