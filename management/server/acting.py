"""Who acts in this thread, and through which call: what the audit log writes beside each change."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Actor:
    """Both are None for what the server does of its own accord."""

    account_uuid: str | None = None
    api_name: str | None = None


NOBODY = Actor()
_actor: ContextVar[Actor] = ContextVar("actor", default=NOBODY)


def actor() -> Actor:
    """Whoever acts now."""
    return _actor.get()


@contextmanager
def acting_as(account_uuid: str | None, api_name: str) -> Iterator[None]:
    """Everything inside is done for this account by this call."""
    token = _actor.set(Actor(account_uuid, api_name))
    try:
        yield
    finally:
        _actor.reset(token)
