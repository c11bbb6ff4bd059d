"""Children with a clean environment, and writes that are whole."""

from __future__ import annotations

import errno
import gc
import os
import signal
import sys
from pathlib import Path

import pytest

from payload.effects import atomic_symlink, atomic_write, inherited, remove_leftovers, run, sync_filesystem
from payload.errors import CommandError


def test_a_child_gets_a_clean_environment_and_a_closed_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/nowhere")
    monkeypatch.setenv("SECRET", "x")
    done = run([sys.executable, "-c", "import os, sys; print(sorted(os.environ)); print(repr(sys.stdin.read()))"])
    names, stdin = done.output.splitlines()
    assert "LD_LIBRARY_PATH" not in names
    assert "SECRET" not in names
    assert stdin == "''"


def test_words_are_not_split_and_stdin_arrives() -> None:
    assert run(["printf", "%s|", "a b", "$HOME", '"']).output == 'a b|$HOME|"|'
    assert run(["cat"], stdin="secret").output == "secret"


def test_a_failure_names_command_code_and_output() -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "echo why >&2; exit 3"])
    assert caught.value.returncode == 3
    assert "why" in str(caught.value)
    assert run(["false"], check=False).returncode == 1


def test_the_command_in_a_failure_can_be_pasted() -> None:
    with pytest.raises(CommandError) as caught:
        run(["sh", "-c", "exit 3", "a b"])
    assert caught.value.details == "$ sh -c 'exit 3' 'a b'"


def test_a_missing_program_is_a_command_error() -> None:
    with pytest.raises(CommandError, match="127"):
        run(["/no/such/program"])


@pytest.fixture
def held(tmp_path: Path) -> Path:
    """A pipe that children hold open."""
    os.mkfifo(tmp_path / "held")
    return tmp_path / "held"


def anybody_holds(pipe: Path) -> bool:
    try:
        os.close(os.open(pipe, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        assert error.errno == errno.ENXIO
        return False
    return True


@pytest.mark.parametrize("streamed", [False, True])
def test_a_timeout_ends_the_whole_group(held: Path, streamed: bool) -> None:
    script = f"exec 3<>{held}; (trap '' TERM; sleep 2000; true) >/dev/null 2>&1 & exec sleep 2000"
    with pytest.raises(CommandError):
        run(["sh", "-c", script], timeout=1, on_line=(lambda _: None) if streamed else None)
    assert not anybody_holds(held)


def test_a_group_that_ignores_its_end_is_gone_on_return(held: Path) -> None:
    def interrupt(line: str) -> None:
        assert line == "deaf"
        raise KeyboardInterrupt

    deaf = "trap '' TERM; echo deaf; while :; do sleep 1; done"
    with pytest.raises(KeyboardInterrupt):
        run(["sh", "-c", f"exec 3<>{held}; ({deaf}) & wait"], on_line=interrupt)
    assert not anybody_holds(held)


class _RangError(Exception):
    """A handler's own exception; no library catches it."""


def test_a_signal_while_a_child_is_started_does_not_lose_it() -> None:
    """Whenever the handler raises, no child is left behind."""
    mark = f"9{os.getpid()}"  # sleeps for longer than any test; nothing else has this word
    rung = 0

    def interrupt(number: int, frame: object) -> None:
        nonlocal rung
        rung += 1
        # The others only wake a thread that began to wait when the first one came; after half a minute, that was lost.
        if rung in (1, 150):
            raise _RangError

    earlier = signal.signal(signal.SIGALRM, interrupt)
    gc.disable()  # what a handler raises in a callback of the collector, such as Hypothesis', is lost
    try:
        for step in range(60):
            rung = 0
            with pytest.raises(_RangError):
                signal.setitimer(signal.ITIMER_REAL, 0.0001 * (step + 1), 0.2)
                run(["sleep", mark])
            signal.setitimer(signal.ITIMER_REAL, 0)
            left = [path for path in Path("/proc").glob("[0-9]*/cmdline") if mark.encode() in _read(path).split(b"\0")]
            assert left == []
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        gc.enable()
        signal.signal(signal.SIGALRM, earlier)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_lines_come_one_by_one() -> None:
    lines: list[str] = []
    assert run(["sh", "-c", "echo a; echo b >&2"], on_line=lines.append).output == "a\nb\n"
    assert lines == ["a", "b"]


def test_children_hold_what_they_inherit_and_no_others(tmp_path: Path) -> None:
    with (tmp_path / "lock").open("w") as file:
        look = ["ls", "-l", "/proc/self/fd"]
        assert str(tmp_path) not in run(look).output
        with inherited(file.fileno()):
            assert str(tmp_path) in run(look).output
        assert str(tmp_path) not in run(look).output


def test_run_as_another_user() -> None:
    assert run(["id", "-un"], user="nobody").output.strip() == "nobody"


def test_atomic_write_replaces_whole_with_the_mode(tmp_path: Path) -> None:
    path = tmp_path / "file"
    atomic_write(path, b"one")
    atomic_write(path, b"two", mode=0o600)
    assert path.read_bytes() == b"two"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [path] == list(tmp_path.iterdir())


def test_atomic_write_leaves_the_old_file_when_it_fails(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"one")
    with pytest.raises(TypeError):
        atomic_write(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"one"
    assert [path] == list(tmp_path.iterdir())


def test_a_killed_write_leaves_something_that_can_be_told_and_removed(tmp_path: Path) -> None:
    code = (
        "import os, pathlib, sys; from payload import effects\n"
        "os.fsync = lambda fd: os.kill(os.getpid(), 9)\n"
        "effects.atomic_write(pathlib.Path(sys.argv[1]), b'new')"
    )
    path = tmp_path / "file[1]"
    (tmp_path / ".file[1].swp").touch()
    done = run([sys.executable, "-c", code, path], cwd=Path(__file__).parents[3], check=False)
    assert done.returncode == -9
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(path)
    assert [each.name for each in tmp_path.iterdir()] == [".file[1].swp"]


def test_atomic_symlink_switches(tmp_path: Path) -> None:
    atomic_symlink(tmp_path / "current", "a")
    atomic_symlink(tmp_path / "current", "b")
    assert (tmp_path / "current").readlink() == Path("b")
    assert list(tmp_path.iterdir()) == [tmp_path / "current"]


def test_a_file_system_is_flushed_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    sync_filesystem(tmp_path)
    with pytest.raises(FileNotFoundError):
        sync_filesystem(tmp_path / "none")
