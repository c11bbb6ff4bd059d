"""Commands inside a host: run to the end, on a terminal, or started and killed in the middle."""

from __future__ import annotations

import contextlib
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
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
_PATIENCE = 300
"""Seconds until something is stuck. A process that waits for a slow disk is not."""
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
        for task in _tasks(parent):
            with contextlib.suppress(OSError):
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

    def finish(self, timeout: float = _PATIENCE) -> Completed:
        """Wait for the end and collect what was not read yet.

        Raises:
            subprocess.TimeoutExpired: it takes longer than `timeout`.
        """
        output, _ = self.process.communicate(timeout=timeout)
        return subprocess.CompletedProcess(self.process.args, self.process.returncode, output, "")

    def kill(self, sig: int = signal.SIGKILL, *, tree: bool = True) -> None:
        """Send a signal to the command in the host and, with `tree`, to everything it started.

        Raises:
            LabError: something of the tree survived SIGKILL.
        """
        if tree and sig == signal.SIGKILL:
            self._kill_tree()
        else:
            below = descendants(self.process.pid)
            _send(sig, below if tree else below[:1])

    def _kill_tree(self) -> None:
        """All are stopped before the first dies: else one acts on the end of another, or starts one that is in no list.

        nsenter comes first: it would see that its child stops, and stop itself again after it was told to go on.
        """
        _stop([self.process.pid])
        below: list[int] = []
        while new := [pid for pid in descendants(self.process.pid) if pid not in below]:
            _stop(new)
            below += new
        # a program that is not there yet would start after this
        _send(signal.SIGKILL, below or [self.process.pid])
        _wait_for(below, _is_dead, "die")
        _send(signal.SIGCONT, [self.process.pid])

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
        output, errors = process.communicate(timeout=_PATIENCE)
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
            process.wait(_PATIENCE)
            return b"".join(chunks).decode(errors="replace")
        if process.poll() is not None and not select.select([terminal], [], [], 0)[0]:
            return b"".join(chunks).decode(errors="replace")
    raise TimeoutError


def _send(sig: int, pids: list[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, sig)


def _stop(pids: list[int]) -> None:
    _send(signal.SIGSTOP, pids)
    _wait_for(pids, _rests, "stop")


def _tasks(pid: int) -> list[Path]:
    """The threads of a process; none when it is gone."""
    with contextlib.suppress(OSError):
        return list(Path(f"/proc/{pid}/task").iterdir())
    return []


def _state(of: Path) -> str:
    """The letter for the state of a process or thread; X when it is gone."""
    with contextlib.suppress(OSError):
        return (of / "stat").read_text().rpartition(")")[2].split()[0]
    return "X"


def _rests(pid: int) -> bool:
    """It was stopped, or is at the end. In D it starts nothing: it waits for a disk, or for a child that is stopped."""
    return all(_state(task) in "TtDZX" for task in _tasks(pid))


def _is_dead(pid: int) -> bool:
    return _state(Path(f"/proc/{pid}")) in "ZX"


def _wait_for(pids: list[int], is_so: Callable[[int], bool], verb: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while left := [pid for pid in pids if not is_so(pid)]:
        if time.monotonic() > deadline:
            raise LabError(f"processes {left} do not {verb}")
        time.sleep(0.005)
