"""Small ways to look: a file's text, a program's answer. What is not there is empty, and never an error."""

from __future__ import annotations

from pathlib import Path

from installer.steps import Host
from payload.errors import CommandError

_LIMIT = 1 << 20
PATIENCE = 15.0
"""Seconds that a program gets that only looks: enough on a busy host, not too long where one hangs."""


def text(path: Path) -> str:
    """The beginning of a file; empty when it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(_LIMIT).decode(errors="replace")
    except OSError:
        return ""


def number(path: Path) -> int | None:
    """The one number in a file."""
    word = text(path).strip()
    return int(word) if word.isdigit() else None


def answer(host: Host, *argv: str, timeout: float = PATIENCE) -> str | None:
    """What a program printed; None when it is missing, failed, or took longer than `timeout` seconds."""
    try:
        done = host.run(argv, check=False, timeout=timeout)
    except CommandError:
        return None
    return done.output.strip() if done.returncode == 0 else None


def fault(host: Host, *argv: str, timeout: float = 60) -> str | None:
    """None when a program ends well, else what it said about that, in one line."""
    try:
        done = host.run(argv, check=False, timeout=timeout)
    except CommandError as error:
        return " ".join(error.details.split())[-300:] or error.brief
    if done.returncode == 0:
        return None
    return " ".join(done.errors.split())[-300:] or f"{argv[0]} exited with {done.returncode}"
