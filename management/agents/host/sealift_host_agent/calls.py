"""What the calls of all agents have in common: errors, time, the programs they run, what bodies must hold."""

import os
import re
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

Body = dict[str, Any]
DEFAULT_SECONDS = 300.0
"""What a call may take whose caller does not say."""
_UUID = re.compile(r"[0-9a-f]{32}")
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_ends: ContextVar[float | None] = ContextVar("ends", default=None)


class CallError(Exception):
    """A call cannot be done; its text is the answer's `error`."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """What is done within may take so many seconds, and no more than what it is part of."""
    ends = time.monotonic() + seconds
    outer = _ends.get()
    token = _ends.set(ends if outer is None else min(ends, outer))
    try:
        yield
    finally:
        _ends.reset(token)


@contextmanager
def grace(seconds: float) -> Iterator[None]:
    """What is done within has so many seconds of its own, also when the time of the call is over: for undoing."""
    token = _ends.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _ends.reset(token)


def left() -> float:
    """The seconds that this call still has.

    Raises:
        CallError: there are none.
    """
    ends = _ends.get()
    seconds = DEFAULT_SECONDS if ends is None else ends - time.monotonic()
    if seconds <= 0:
        raise CallError("the time for this call is over")
    return seconds


def run(argv: Sequence[str | Path]) -> str:
    """Run a program, without a shell, in the time that is left; returns its output.

    Raises:
        CallError: it is not on this host, failed, or was ended because the time was over.
    """
    words = [str(word) for word in argv]
    try:
        done = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=left(),
            env=_ENVIRONMENT,
            check=False,
        )
    except FileNotFoundError as error:
        raise CallError(f"{words[0]} is not on this host: install it") from error
    except subprocess.TimeoutExpired as error:
        raise CallError(f"{words[0]} was ended: the time for this call is over") from error
    if done.returncode != 0:
        raise CallError(f"{words[0]} failed: {(done.stderr or done.stdout).strip()[-1000:]}")
    return done.stdout


def launch(argv: Sequence[str], log: Path) -> "subprocess.Popen[bytes]":
    """Start a program that goes on when this agent ends; what it says is added to the file `log`."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            env=_ENVIRONMENT,
            cwd="/",
            start_new_session=True,
        )
    # Nobody else takes note of its end while this agent lives.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def text(body: Body, name: str) -> str:
    """A string that the body must hold.

    Raises:
        CallError: it does not.
    """
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise CallError(f"{name} must be given")
    return value


def uuid(body: Body, name: str) -> str:
    """A UUID that the body must hold: 32 lower-case hexadecimal digits.

    Raises:
        CallError: it does not.
    """
    value = text(body, name)
    if not _UUID.fullmatch(value):
        raise CallError(f"{name} is no UUID: {value[:80]!r}")
    return value


def number(body: Body, name: str, least: int, most: int) -> int:
    """A whole number that the body must hold.

    Raises:
        CallError: it does not, or the number is out of bounds.
    """
    value = body.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise CallError(f"{name} must be a number from {least} to {most}")
    return value


def inside(layout: re.Pattern[str], path: str, name: str) -> Path:
    """The path of a file of a storage, made only of what `layout` allows; its group `root` is the storage's folder.

    Raises:
        CallError: it has another form, or a link below the storage's folder leads elsewhere.
    """
    found = layout.fullmatch(path)
    if found is None or not {".", ".."}.isdisjoint(path.split("/")):
        raise CallError(f"{name} is no path of a storage: {path[:300]!r}")
    file, root = Path(path), Path(found["root"])
    there = Path(os.path.realpath(file.parent))
    if there != Path(os.path.realpath(root)) / file.parent.relative_to(root) or file.is_symlink():
        raise CallError(f"{name} leads out of {root} by a link: {path}")
    return file


class Locks:
    """One lock for each name: work on different things goes on side by side."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._held: dict[str, tuple[threading.Lock, int]] = {}

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Be the only one at work on `name`.

        Raises:
            CallError: others were until the time was over.
        """
        with self._guard:
            lock, users = self._held.get(name, (threading.Lock(), 0))
            self._held[name] = (lock, users + 1)
        try:
            if not lock.acquire(timeout=left()):
                raise CallError(f"other work on {name} took all the time of this call")
            try:
                yield
            finally:
                lock.release()
        finally:
            with self._guard:
                lock, users = self._held.pop(name)
                if users > 1:
                    self._held[name] = (lock, users - 1)
