"""The one door to other processes for the whole of management/.

Argument lists only, a closed or explicit stdin, a clean environment, and every child remembered so that a
server that stops takes its children with it.
"""

import logging
import os
import shlex
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from management import deadlines

log = logging.getLogger(__name__)

# Variables that a child may inherit; everything else is given by the caller on purpose.
INHERITED = ("PATH", "TMPDIR", "TZ")
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class ProcessError(Exception):
    """A child could not be started, took too long, or was stopped with the server."""


@dataclass(frozen=True, slots=True)
class Finished:
    """What a child left behind. A non-zero exit is a value, not an exception."""

    argv: tuple[str, ...]
    code: int
    stdout: str
    stderr: str


def clean_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A small UTF-8 environment plus `extra`. Ansible refuses to start in a locale that is not UTF-8."""
    base = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {"PATH": DEFAULT_PATH, "LC_ALL": "C.UTF-8", **base, **(extra or {})}


class Processes:
    """Runs children and can end all of them at once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._closed = False

    def run(
        self,
        argv: Sequence[str],
        *,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float = 300,
    ) -> Finished:
        """Run `argv` to its end and return what it said.

        Secrets belong in `stdin`: it is never logged, argv is.

        Raises:
            ProcessError: it could not be started, `timeout` seconds or the time of the present work are over, or
                `close` was called.
        """
        log.debug("running %s", shlex.join(argv))
        timeout = deadlines.clip(timeout)
        child = self._start(argv, env, cwd, with_stdin=stdin is not None)
        try:
            stdout, stderr = child.communicate(stdin, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            self._end(child, signal.SIGKILL)
            child.communicate()
            raise ProcessError(f"{argv[0]} did not finish within {timeout:.0f} s") from error
        finally:
            with self._lock:
                self._running.discard(child)
        if self._closed:
            raise ProcessError(f"{argv[0]} was stopped because the server is stopping")
        return Finished(tuple(argv), child.returncode, stdout, stderr)

    def close(self) -> None:
        """End every running child. Later calls of `run` are refused."""
        with self._lock:
            self._closed = True
            children = tuple(self._running)
        for child in children:
            self._end(child, signal.SIGTERM)

    def _start(
        self, argv: Sequence[str], env: Mapping[str, str] | None, cwd: Path | None, *, with_stdin: bool
    ) -> subprocess.Popen[str]:
        with self._lock:
            if self._closed:
                raise ProcessError(f"{argv[0]} was not started because the server is stopping")
            try:
                child = subprocess.Popen(
                    list(argv),
                    stdin=subprocess.PIPE if with_stdin else subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    env=clean_environment(env),
                    cwd=cwd,
                    encoding="utf-8",
                    errors="replace",
                    start_new_session=True,
                )
            except OSError as error:
                raise ProcessError(f"{argv[0]} could not be started: {error.strerror}") from error
            self._running.add(child)
            return child

    @staticmethod
    def _end(child: subprocess.Popen[str], number: signal.Signals) -> None:
        # The whole session: ansible has worker and ssh children of its own.
        try:
            os.killpg(child.pid, number)
        except ProcessLookupError:
            log.debug("process %d had already ended", child.pid)
