"""Passwords: clients send sha512 hex, the database holds argon2 of that."""

import hashlib
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import select

from management.server.clock import now
from management.server.commanderror import CommandError
from management.server.database import Database
from management.server.models.identity import AccountVO

_hasher = PasswordHasher()


class PasswordError(CommandError):
    """The password cannot be taken."""


def client_digest(password: str) -> str:
    """What a client sends for `password`: it never sends the password itself."""
    return hashlib.sha512(password.encode()).hexdigest()


def matches(stored: str | None, digest: str) -> bool:
    """True when `digest` is the one that was stored. Takes as long for an account without a password."""
    try:
        return _hasher.verify(stored or _nobody(), digest) and stored is not None
    except (VerificationError, InvalidHashError):
        return False


def stored(digest: str) -> str:
    """What the database keeps for the digest that a client sent."""
    return _hasher.hash(digest)


def set_password(database: Database, account_name: str, password: str, *, if_unset: bool) -> bool:
    """Give an account a new password. Returns False when it has one and `if_unset` keeps it.

    Raises:
        PasswordError: the password is empty, or there is no such account.
    """
    if not password:
        raise PasswordError("the password must not be empty")
    with database.write() as session:
        account = session.scalars(select(AccountVO).where(AccountVO.name == account_name)).one_or_none()
        if account is None:
            raise PasswordError(f"there is no account {account_name}")
        if if_unset and account.passwordHash is not None:
            return False
        account.passwordHash = stored(client_digest(password))
        account.lastOpDate = now()
    return True


@cache
def _nobody() -> str:
    """Compared against when the account has no password, so that time does not tell which accounts exist."""
    return _hasher.hash(client_digest("nobody"))
