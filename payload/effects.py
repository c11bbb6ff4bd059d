"""The one door to child processes, and writes that are whole or not there.

No other module imports `subprocess`. Children get argv lists, a closed stdin unless `stdin` is given, the C locale and
an environment of their own: a frozen program's library path must not reach dnf, rpm or ssh. Secrets travel by `stdin`.
"""

from __future__ import annotations

import ctypes
import glob
import grp
import os
import pwd
import selectors
import signal
import subprocess
import tempfile
import time
from _thread import start_new_thread
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Lock, Timer

from payload.errors import CommandError

_INHERITED: ContextVar[tuple[int, ...]] = ContextVar("inherited", default=())
_GRACE = 5.0
"""Seconds that a child's group gets to end by itself after SIGTERM."""
_BLOCK = 1 << 16
_LIBC = ctypes.CDLL(None, use_errno=True)
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_KEPT = (
    "HOME",
    "TMPDIR",
    "TERM",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
)


@dataclass(frozen=True, slots=True)
class Completed:
    """A finished child: `output` is stdout, `errors` is stderr (both decoded, undecodable bytes replaced)."""

    argv: tuple[str, ...]
    returncode: int
    output: str
    errors: str


@contextmanager
def inherited(fd: int) -> Iterator[None]:
    """Let the children of this context hold `fd` open: a lock on it lasts until the last of them has ended."""
    token = _INHERITED.set((*_INHERITED.get(), fd))
    try:
        yield
    finally:
        _INHERITED.reset(token)


def child_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of every child: a fixed PATH, the C locale, and the few variables that a child may need."""
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    env |= {"PATH": _PATH, "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
    env.setdefault("HOME", "/root")
    return env | dict(extra or {})


def run(
    argv: Sequence[str | Path],
    *,
    stdin: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    timeout: float | None = None,
    check: bool = True,
    user: str | None = None,
    on_line: Callable[[str], None] | None = None,
    limit: int | None = None,
) -> Completed:
    """Run a child to its end.

    `user` runs it with that user's uid, gid and groups. `on_line` gets each line of stdout and stderr (then merged into
    `output`) as it comes. With `limit`, it gets no `stdin`, and is ended when it says more bytes than that. The child
    leads a process group of its own; when this process is interrupted or `timeout` (seconds) passes, the whole group is
    ended.

    Raises:
        CommandError: the child is not there, was ended by the timeout or for its `limit`, or (with `check`) exited
            non-zero.
    """
    words = tuple(str(word) for word in argv)
    merged = on_line is not None
    who = _credentials(user)
    begin = partial(
        subprocess.Popen[str],
        words,
        stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT if merged else subprocess.PIPE,
        env=child_environment(env),
        cwd=cwd,
        text=True,
        errors="replace",
        start_new_session=True,
        pass_fds=_INHERITED.get(),
        user=who.uid,
        group=who.gid,
        extra_groups=who.groups,
    )
    start = _Start(begin)
    try:
        start_new_thread(start.run, ())  # unlike Thread.start, it cannot be interrupted half-way
        try:
            child = start.result()
        except OSError as error:
            raise CommandError(words, 127, f"{words[0]}: {error.strerror}") from error
        if limit is None:
            output, errors = _communicate(child, stdin, timeout, on_line)
        else:
            output, errors = _bounded(child, timeout, limit)
    except BaseException as error:
        _end(start)
        if isinstance(error, _TooMuchError):
            raise CommandError(words, 125, f"said more than {limit} bytes") from None
        if isinstance(error, subprocess.TimeoutExpired):
            raise CommandError(words, 124, f"no end after {timeout:g} s") from None
        raise
    for pipe in filter(None, (child.stdin, child.stdout, child.stderr)):
        pipe.close()
    if check and child.returncode != 0:
        raise CommandError(words, child.returncode, output if merged else output + errors)
    return Completed(words, child.returncode, output, errors)


class _Start:
    """A child's start, in a thread of its own: a signal's handler, which runs in the main thread, may raise anywhere.

    Raised inside Popen, it would lose the child that Popen had just started; raised in a wait that is written in
    Python, as a Future's is, it could leave that broken. A lock alone is taken or not, and nothing between.
    """

    def __init__(self, begin: Callable[[], subprocess.Popen[str]]) -> None:
        self._begin = begin
        self._over = Lock()
        self._over.acquire()
        self._outcome: subprocess.Popen[str] | BaseException | None = None

    def run(self) -> None:
        """Start the child."""
        try:
            self._outcome = self._begin()
        except BaseException as error:
            self._outcome = error
        self._over.release()

    def result(self) -> subprocess.Popen[str]:
        """Wait for the child that `run` starts. Called once.

        Raises:
            OSError: the system could not start it.
        """
        self._over.acquire()
        if isinstance(self._outcome, subprocess.Popen):
            return self._outcome
        raise self._outcome or RuntimeError("no outcome")

    def child(self) -> subprocess.Popen[str] | None:
        """The child, if it came to be: after a `result` that an exception may have ended."""
        if self._outcome is None:
            self._over.acquire(timeout=_GRACE)  # interrupted just before the thread, it never comes
        return self._outcome if isinstance(self._outcome, subprocess.Popen) else None


def _end(start: _Start) -> None:
    """End the child and all it started, if it came to be."""
    if (child := start.child()) is not None:
        _end_group(child)
        for pipe in filter(None, (child.stdin, child.stdout, child.stderr)):
            pipe.close()


def _communicate(
    child: subprocess.Popen[str],
    stdin: str | None,
    timeout: float | None,
    on_line: Callable[[str], None] | None,
) -> tuple[str, str]:
    if on_line is None:
        return child.communicate(stdin, timeout)
    if child.stdin is not None:
        with child.stdin:
            child.stdin.write(stdin or "")
    lines: list[str] = []
    watchdog = Timer(timeout or 0, _end_group, [child])
    if timeout is not None:
        watchdog.start()
    try:
        for line in child.stdout or ():
            lines.append(line)
            on_line(line.rstrip("\n"))
        child.wait()
    finally:
        watchdog.cancel()
        if timeout is not None:
            watchdog.join()  # it may be ending the group just now
    return "".join(lines), ""


class _TooMuchError(Exception):
    """A child said more than it may."""


def _bounded(child: subprocess.Popen[str], timeout: float | None, limit: int) -> tuple[str, str]:
    """What the child says on its two pipes, never more than `limit` bytes in memory."""
    said = {pipe.fileno(): bytearray() for pipe in (child.stdout, child.stderr) if pipe is not None}
    deadline = None if timeout is None else time.monotonic() + timeout

    def left() -> float | None:
        if deadline is not None and time.monotonic() >= deadline:
            raise subprocess.TimeoutExpired(child.args, timeout or 0)
        return None if deadline is None else deadline - time.monotonic()

    with selectors.DefaultSelector() as selector:
        for fd in said:
            selector.register(fd, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select(left()):
                if not (block := os.read(key.fd, _BLOCK)):
                    selector.unregister(key.fd)
                said[key.fd] += block
            if sum(map(len, said.values())) > limit:
                raise _TooMuchError
    child.wait(left())
    output, errors = (bytes(each).decode(errors="replace") for each in said.values())
    return output, errors


@dataclass(frozen=True, slots=True)
class _Credentials:
    uid: int | None = None
    gid: int | None = None
    groups: tuple[int, ...] | None = None


def _credentials(user: str | None) -> _Credentials:
    if user is None:
        return _Credentials()
    entry = pwd.getpwnam(user)
    groups = tuple(group.gr_gid for group in grp.getgrall() if user in group.gr_mem)
    return _Credentials(entry.pw_uid, entry.pw_gid, groups)


def _end_group(child: subprocess.Popen[str]) -> None:
    """End the child and all it started; they are gone on return, so that nobody writes behind an undo."""
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGTERM)
        _wait_for_group(child, _GRACE)
        os.killpg(child.pid, signal.SIGKILL)
        _wait_for_group(child, _GRACE)


def _wait_for_group(child: subprocess.Popen[str], seconds: float) -> None:
    """Wait until the group is empty, at most `seconds`; an empty one is a ProcessLookupError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        child.poll()  # a zombie would stay in its group
        os.killpg(child.pid, 0)
        time.sleep(0.01)


def fsync_dir(folder: Path) -> None:
    """Make the names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def sync_filesystem(path: Path) -> None:
    """Make everything written to the file system of `path` durable: one flush for many files (syncfs, Linux).

    Raises:
        OSError: writing back failed.
    """
    fd = os.open(path, os.O_RDONLY)
    try:
        if _LIBC.syncfs(fd) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(path))
    finally:
        os.close(fd)


def atomic_write(path: Path, content: bytes, *, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Write `path` whole or not at all: temporary file beside it, fsync, rename, fsync of the folder.

    The file never exists with wider permissions than `mode`. `owner` is (uid, gid).
    """
    fd, name = tempfile.mkstemp(prefix=_temporary(path), dir=path.parent)
    try:
        with os.fdopen(fd, "wb") as out:
            if owner is not None:
                os.fchown(fd, *owner)
            os.fchmod(fd, mode)
            out.write(content)
            out.flush()
            os.fsync(fd)
        Path(name).rename(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    fsync_dir(path.parent)


def atomic_symlink(link: Path, target: str) -> None:
    """Point `link` at `target` by one rename."""
    temporary = link.with_name(f"{_temporary(link)}{os.getpid()}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    temporary.rename(link)
    fsync_dir(link.parent)


def remove_leftovers(path: Path) -> None:
    """Remove what writes of `path` left beside it when they were killed. None may be under way."""
    for left in path.parent.glob(f"{glob.escape(_temporary(path))}*"):
        left.unlink(missing_ok=True)


def _temporary(path: Path) -> str:
    """How the names of temporary files for `path` begin."""
    return f".{path.name}.sealift-"
