"""Sockets and commands in another process's network namespace."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.lab.process import Argv, Completed, run

NSENTER = "/usr/bin/nsenter"
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)


def network_id(pid: int | str = "self") -> int:
    """The identity of the network namespace that a process is in."""
    return Path(f"/proc/{pid}/ns/net").stat().st_ino


def processes_with(pid: int) -> list[int]:
    """Every process in the PID namespace of `pid`, as this machine counts."""
    namespace = Path(f"/proc/{pid}/ns/pid").stat().st_ino
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it has just ended
            if (process / "ns/pid").stat().st_ino == namespace:
                found.append(int(process.name))
    return found


def in_network(pid: int, argv: Argv, *, check: bool = True, timeout: float | None = None) -> Completed:
    """Run a command of this machine in the network namespace of `pid`."""
    return run([NSENTER, "-t", str(pid), "-n", "--", *argv], check=check, timeout=timeout)


@contextmanager
def inside(pid: int) -> Iterator[None]:
    """This thread, and what it starts, is in the network namespace of `pid` for the time of a `with`.

    Raises:
        OSError: the namespace cannot be entered.
    """
    with Path("/proc/thread-self/ns/net").open() as own, Path(f"/proc/{pid}/ns/net").open() as other:
        _enter(other.fileno())
        try:
            yield
        finally:
            _enter(own.fileno())


def _enter(namespace: int) -> None:
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def socket_in(pid: int, make: Callable[[], socket.socket]) -> socket.socket:
    """The socket that `make` opens inside the network namespace of `pid`; it stays there for its life.

    Raises:
        OSError: the namespace cannot be entered, or `make` failed.
    """
    made: list[socket.socket | OSError] = []

    def enter() -> None:
        # a thread of its own, which ends afterwards: the namespace is a property of the thread
        try:
            with Path(f"/proc/{pid}/ns/net").open() as handle:
                _enter(handle.fileno())
            made.append(make())
        except OSError as error:
            made.append(error)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    result = made[0]
    if isinstance(result, OSError):
        raise result
    return result
