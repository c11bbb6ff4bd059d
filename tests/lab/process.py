"""The lab's one way to run a program and wait for it."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

Argv = Sequence[str | Path]
Completed = subprocess.CompletedProcess[str]


class LabError(Exception):
    """The lab itself is broken: a tool failed, a host did not come up. Never an assertion about the product."""


def describe(argv: Argv) -> str:
    """The command as a line that can be pasted into a shell."""
    return shlex.join(map(str, argv))


def run(
    argv: Argv,
    *,
    input: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    check: bool = True,
    timeout: float | None = None,
) -> Completed:
    """Run `argv` to its end with captured output and, unless `input` is given, an empty stdin.

    Raises:
        LabError: the program failed and `check` is true; the end of its output is in the message.
    """
    done = subprocess.run(
        [str(word) for word in argv],
        input="" if input is None else input,
        env=env,
        cwd=cwd,
        timeout=timeout,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    if check and done.returncode != 0:
        output = (done.stdout[-1500:] + done.stderr[-1500:]).strip()
        raise LabError(f"exit {done.returncode}: {describe(argv)}\n{output}")
    return done
