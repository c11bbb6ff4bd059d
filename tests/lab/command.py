"""Commands inside a host: run to the end, on a terminal, or started and killed in the middle."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO

from tests.lab.namespaces import NSENTER
from tests.lab.process import Argv, Completed, LabError, describe

CLEAN_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "USER": "root",
    "LOGNAME": "root",
    "SHELL": "/bin/bash",
    "LANG": "C.UTF-8",
    "TERM": "dumb",
}
_NAMESPACES = ("-m", "-u", "-i", "-n", "-p", "-C", "-r")


def enter(leader: int, argv: Argv, cwd: str = "/root") -> list[str]:
    """The command line that runs `argv` in the host whose PID 1 is `leader`."""
    return [NSENTER, "-t", str(leader), *_NAMESPACES, f"--wdns={cwd}", "--", *map(str, argv)]


def environment(extra: Mapping[str, str] | None) -> dict[str, str]:
    """The clean environment of a command in a host, with what the caller adds."""
    return {**CLEAN_ENVIRONMENT, **(extra or {})}


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, deepest last."""
    found: list[int] = []
    queue = [pid]
    while queue:
        parent = queue.pop(0)
        with contextlib.suppress(OSError):
            for task in Path(f"/proc/{parent}/task").iterdir():
                children = [int(word) for word in (task / "children").read_text().split()]
                found += children
                queue += children
    return found


class RunningCommand:
    """A command that was started in a host and may still run."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    @property
    def stdin(self) -> IO[str] | None:
        return self.process.stdin

    @property
    def stdout(self) -> IO[str] | None:
        """Output and errors, as they come."""
        return self.process.stdout

    def poll(self) -> int | None:
        return self.process.poll()

    def wait(self, timeout: float | None = None) -> int:
        """The exit code; negative for a signal that the controller's side died of, 128+n for one in the host."""
        return self.process.wait(timeout)

    def finish(self, timeout: float | None = None) -> Completed:
        """Wait for the end and collect what was not read yet.

        Raises:
            subprocess.TimeoutExpired: it takes longer than `timeout`.
        """
        output, _ = self.process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, output, "")

    def kill(self, sig: int = signal.SIGKILL, *, tree: bool = True) -> None:
        """Send a signal to the command in the host and, with `tree`, to everything it started."""
        below = descendants(self.process.pid)
        if tree and sig == signal.SIGKILL:  # else one acts on the end of another; nsenter itself stops with its child
            _send(signal.SIGSTOP, below[1:])
        _send(sig, below if tree else below[:1])
        deadline = time.monotonic() + 5  # a process that was stopped needs its turn to die
        while tree and sig == signal.SIGKILL and any(map(_lives, below)) and time.monotonic() < deadline:
            time.sleep(0.01)

    def close(self) -> None:
        """Make sure that it is over."""
        if self.process.poll() is None:
            self.kill()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


def run_plain(argv: list[str], env: Mapping[str, str], input: str | None, timeout: float) -> Completed:
    """Run to the end; stdin is `input` or empty.

    Raises:
        LabError: it took longer than `timeout`; it is dead then.
    """
    process = subprocess.Popen(
        argv,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    try:
        output, errors = process.communicate(input or "", timeout=timeout)
    except subprocess.TimeoutExpired:
        RunningCommand(process).kill()
        output, errors = process.communicate(timeout=10)
        raise LabError(f"still running after {timeout} s: {describe(argv)}\n{output}{errors}") from None
    finally:
        RunningCommand(process).close()
    return subprocess.CompletedProcess(argv, process.returncode, output, errors)


def run_on_terminal(argv: list[str], env: Mapping[str, str], input: str | None, timeout: float) -> Completed:
    """Run to the end with a terminal as stdin, stdout and stderr; `input` is typed at once.

    Raises:
        LabError: it took longer than `timeout`; it is dead then.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *argv],
        env={**env, "TERM": "xterm"},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        text=True,
    )
    os.close(theirs)
    try:
        if input:
            os.write(ours, input.encode())
        output = _read_terminal(ours, process, time.monotonic() + timeout)
    except TimeoutError:
        raise LabError(f"still running after {timeout} s: {describe(argv)}") from None
    finally:
        RunningCommand(process).close()
        os.close(ours)
    return subprocess.CompletedProcess(argv, process.returncode, output, "")


def _read_terminal(terminal: int, process: subprocess.Popen[str], deadline: float) -> str:
    chunks: list[bytes] = []
    while time.monotonic() < deadline:
        ready, _, _ = select.select([terminal], [], [], 0.1)
        if ready:
            try:
                chunk = os.read(terminal, 65536)
            except OSError:  # the last process that had the terminal is gone
                chunk = b""
            if chunk:
                chunks.append(chunk)
                continue
            process.wait(5)
        if process.poll() is not None:
            return b"".join(chunks).decode(errors="replace")
    raise TimeoutError


def _send(sig: int, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)


def _lives(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    return False
