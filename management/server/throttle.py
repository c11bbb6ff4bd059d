"""Guessing passwords is slow: failed logins are counted by account and by address, and too many are refused unread."""

import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from threading import Lock

KEPT = 10_000
"""How many counts are held; the oldest goes first. A restart forgets all of them."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`failures` in a row are free; after that, one more every `pause` seconds."""

    failures: int
    pause: float


ACCOUNT_FROM_ADDRESS = Rule(5, 30)
ACCOUNT = Rule(100, 5)
ADDRESS = Rule(50, 5)


class Throttle:
    """Counts of failed logins. Each is a bucket that failures fill and time empties."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._full_until: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._lock = Lock()

    def wait(self, account: str, address: str) -> float:
        """Seconds until the next try will be looked at; 0 when it may be made now."""
        with self._lock:
            return max(self._wait(key, rule) for key, rule in _rules(account, address))

    def failed(self, account: str, address: str) -> None:
        """Count a wrong password."""
        moment = self._clock()
        with self._lock:
            for key, rule in _rules(account, address):
                self._full_until[key] = max(self._full_until.pop(key, moment), moment) + rule.pause
            while len(self._full_until) > KEPT:
                self._full_until.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """Forget what this account's user mistyped here. Other accounts tried from the same address stay counted."""
        with self._lock:
            self._full_until.pop((account, address), None)

    def _wait(self, key: tuple[str, str], rule: Rule) -> float:
        # The bucket empties one failure every `pause` seconds; the last free failure fills it.
        level = self._full_until.get(key, 0.0) - self._clock()
        return max(0.0, level - rule.pause * (rule.failures - 1))


def _rules(account: str, address: str) -> Iterator[tuple[tuple[str, str], Rule]]:
    yield (account, address), ACCOUNT_FROM_ADDRESS
    yield (account, ""), ACCOUNT
    if not _loopback(address):  # everybody on this host, and behind a proxy on it, has the same one
        yield ("", address), ADDRESS


def _loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:  # no IP at all, as over a UNIX socket
        return False
