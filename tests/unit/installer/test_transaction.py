from __future__ import annotations

import errno
import os
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest
from packaging.version import Version

from installer.journal import Committed, Journal, Record, read_journal
from installer.plan import Plan
from installer.recovery import unfinished
from installer.signals import Interrupted
from installer.steps import Host, Nothing, Step, register
from installer.steps.saved import SavedFiles, restore
from payload import effects
from payload.errors import BusyError, ExitCode, NeedsOperatorError, StepError
from tests.unit.installer.crashing import (
    Put,
    content_of,
    layout_of,
    plan_of,
    recover_in,
    run_in,
)

BEFORE = {"file-0": "old content", "keep": "untouched"}
AFTER = BEFORE | {f"file-{n}": f"new content of {n}" for n in range(3)}
REPOSITORY = Path(__file__).parents[3]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "work").mkdir()
    for name, content in BEFORE.items():
        (tmp_path / "work" / name).write_text(content)
    return tmp_path


def crash(root: Path, *words: object) -> int:
    argv = (sys.executable, "-m", "tests.unit.installer.crashing", str(root), *map(str, words))
    return effects.run(argv, check=False, cwd=REPOSITORY).returncode


def test_commit_leaves_everything_done_and_no_rubbish(root: Path) -> None:
    outcome = run_in(root, plan_of(root))
    assert (outcome.result, outcome.final_error()) == ("committed", None)
    assert content_of(root) == AFTER
    assert not layout_of(root).scratch("run-1").exists()
    assert sorted(path.name for path in layout_of(root).journal_dir.iterdir()) == ["run-1.jsonl"]


def test_failure_puts_everything_back(root: Path) -> None:
    outcome = run_in(root, plan_of(root, fail=2))
    assert outcome.result == "rolled-back"
    assert content_of(root) == BEFORE
    error = outcome.final_error()
    assert error is not None
    assert (error.code, error.exit_code) == ("rolled-back", ExitCode.ROLLED_BACK)
    assert "made to fail" in str(error)


def test_failure_while_only_staging_is_a_rejection_with_the_original_error(root: Path) -> None:
    outcome = run_in(root, plan_of(root, fail=1, staged=2))
    assert outcome.result == "rejected"
    assert content_of(root) == BEFORE
    assert outcome.final_error() is outcome.error
    assert outcome.error is not None and outcome.error.code == "put-failed"


# a committed run of three steps: begun, 3 x (intended, applied), committed, closed
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("record", range(9))
def test_killed_at_every_record_ends_before_or_after(root: Path, place: str, record: int) -> None:
    assert crash(root, place, record) == -signal.SIGKILL
    recover_in(root)
    committed = record > 7 or (record == 7 and place == "after")
    assert content_of(root) == (AFTER if committed else BEFORE)
    assert unfinished(layout_of(root)) == ()
    assert recover_in(root) == ()


# a failing run: begun, intended 0, applied 0, intended 1, applied 1, intended 2, rolling-back, undone x 3, rolled-back
@pytest.mark.parametrize("place", ["before", "after"])
@pytest.mark.parametrize("record", range(6, 11))
def test_killed_while_rolling_back_goes_on_rolling_back(root: Path, place: str, record: int) -> None:
    assert crash(root, place, record, 2) == -signal.SIGKILL
    recover_in(root)
    assert content_of(root) == BEFORE
    assert unfinished(layout_of(root)) == ()


@pytest.mark.parametrize("step", range(3))
def test_killed_in_the_middle_of_a_step(root: Path, step: int) -> None:
    assert crash(root, "step", step) == -signal.SIGKILL
    outcomes = recover_in(root)
    assert [outcome.result for outcome in outcomes] == ["rolled-back"]
    assert content_of(root) == BEFORE
    assert run_in(root, plan_of(root, run="run-2")).result == "committed"
    assert content_of(root) == AFTER


def test_undo_that_fails_stops_says_what_is_left_and_is_taken_up_again(root: Path) -> None:
    block = root / "block"
    block.touch()
    steps = (
        Put(path=root / "work/file-0", content="new", reason="a test"),
        Put(path=root / "work/file-1", content="new", fail_undo_if=block, reason="a test"),
        Put(path=root / "work/file-2", content="new", fail=True, reason="a test"),
    )
    with pytest.raises(NeedsOperatorError) as caught:
        run_in(root, Plan("install", "demo", Version("1.0"), "run-1", steps))
    assert caught.value.exit_code == ExitCode.NEEDS_OPERATOR
    assert "- put file-1\n- put file-0" in caught.value.details
    assert "put file-2" not in caught.value.details
    with pytest.raises(NeedsOperatorError):
        recover_in(root)
    block.unlink()
    assert [outcome.result for outcome in recover_in(root)] == ["rolled-back"]
    assert content_of(root) == BEFORE


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class BlockReserve(Put):
    """Fails, and lets nobody remove the room that is set aside for the rollback."""

    kind: ClassVar[str] = "test-block-reserve"
    reserve: Path

    def apply(self, host: Host, undo: SavedFiles) -> None:
        self.reserve.unlink()
        self.reserve.mkdir()
        raise StepError("blocked", "made to fail")


def test_a_rollback_that_cannot_begin_needs_an_operator_and_is_taken_up_again(root: Path) -> None:
    first = Put(path=root / "work/file-0", content="new", reason="a test")
    reserve = layout_of(root).journal_dir / "run-1.reserve"
    last = BlockReserve(path=root / "work/file-1", content="new", reserve=reserve, reason="a test")
    with pytest.raises(NeedsOperatorError, match="could not put an end to the run") as caught:
        run_in(root, Plan("install", "demo", Version("1.0"), "run-1", (first, last)))
    assert "- put file-1\n- put file-0" in caught.value.details
    reserve.rmdir()
    assert [outcome.result for outcome in recover_in(root)] == ["rolled-back"]
    assert content_of(root) == BEFORE


# as in the failing run above: rolling-back, undone x 3, rolled-back
@pytest.mark.parametrize("record", range(6, 11))
def test_a_record_of_a_rollback_that_cannot_be_written_needs_an_operator(root: Path, record: int) -> None:
    with pytest.raises(NeedsOperatorError):
        run_in(root, plan_of(root, fail=2), journal=refusing(record))
    assert [outcome.result for outcome in recover_in(root)] == ["rolled-back"]
    assert content_of(root) == BEFORE
    assert not layout_of(root).scratch("run-1").parent.exists()
    assert sorted(path.name for path in layout_of(root).journal_dir.iterdir()) == ["run-1.jsonl"]


def refusing(limit: int) -> type[Journal]:
    """A journal on a disk that refuses record number `limit` (from 0)."""

    class Refusing(Journal):
        count = 0

        def append(self, record: Record) -> None:
            Refusing.count += 1
            if Refusing.count == limit + 1:
                raise OSError(errno.EIO, "Input/output error")
            super().append(record)

    return Refusing


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Service(Put):
    """Something that a reboot starts again, and that changes files while it runs."""

    kind: ClassVar[str] = "test-service"

    def halt(self, undo: SavedFiles, host: Host) -> None:
        (self.path.parent / "running").unlink(missing_ok=True)

    def undo(self, undo: SavedFiles, host: Host) -> None:
        (self.path.parent / "running").touch()


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Data(Put):
    """Must not be put back while the service runs."""

    kind: ClassVar[str] = "test-data"

    def undo(self, undo: SavedFiles, host: Host) -> None:
        assert not (self.path.parent / "running").exists()
        restore(undo)


def test_what_a_reboot_started_is_halted_before_anything_is_undone(root: Path) -> None:
    steps = (
        Service(path=root / "work/unit", content="", reason="a test"),
        Data(path=root / "work/file-0", content="new", reason="a test"),
        Put(path=root / "work/file-1", content="new", fail=True, reason="a test"),
    )
    (root / "work/running").touch()
    assert run_in(root, Plan("install", "demo", Version("1.0"), "run-1", steps)).result == "rolled-back"
    assert (root / "work/file-0").read_text() == "old content"


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Step[Nothing]):
    """Says that it is there, and waits."""

    kind: ClassVar[str] = "test-wait"
    flag: Path

    def describe(self) -> str:
        return "wait"

    def undone(self) -> str:
        return ""

    def prepare(self, host: Host) -> Nothing:
        return Nothing()

    def apply(self, host: Host, undo: Nothing) -> None:
        self.flag.touch()
        time.sleep(30)

    def undo(self, undo: Nothing, host: Host) -> None:
        pass


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signal_puts_everything_back(root: Path, signum: signal.Signals) -> None:
    flag = root / "flag"

    def send() -> None:
        while not flag.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signum)

    thread = threading.Thread(target=send)
    thread.start()
    steps = (Put(path=root / "work/file-0", content="new", reason="a test"), Wait(flag=flag, reason="a test"))
    before = signal.getsignal(signum)
    outcome = run_in(root, Plan("install", "demo", Version("1.0"), "run-1", steps))
    thread.join()
    assert outcome.result == "rolled-back"
    error = outcome.final_error()
    assert error is not None and error.exit_code == ExitCode.INTERRUPTED
    assert content_of(root) == BEFORE
    assert signal.getsignal(signum) == before


class Ending:
    """Something whose destructor a signal reaches, when Python drops the exception of the handler."""

    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)  # here the handler runs


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class Unheard(Put):
    kind: ClassVar[str] = "test-unheard"

    def apply(self, host: Host, undo: SavedFiles) -> None:
        Put.apply(self, host, undo)
        Ending()


@pytest.mark.parametrize("last", [False, True])
def test_a_signal_in_a_destructor_stops_the_run_all_the_same(
    root: Path, monkeypatch: pytest.MonkeyPatch, *, last: bool
) -> None:
    dropped: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda what: dropped.append(what.exc_type))
    steps = [
        kind(path=root / f"work/file-{n}", content="new", reason="a test") for n, kind in enumerate((Put, Unheard))
    ]
    steps = steps if last else steps[::-1]
    outcome = run_in(root, Plan("install", "demo", Version("1.0"), "run-1", tuple(steps)))
    assert dropped == [Interrupted]
    error = outcome.final_error()
    assert error is not None and error.exit_code == ExitCode.INTERRUPTED
    assert content_of(root) == BEFORE


def test_second_run_is_refused_with_the_pid_of_the_first(root: Path) -> None:
    flag = root / "flag"
    code = f"""
import time
from pathlib import Path
from installer.lock import exclusive
from tests.unit.installer.crashing import layout_of
with exclusive(layout_of(Path({str(root)!r}))):
    Path({str(flag)!r}).write_text(str(__import__("os").getpid()))
    time.sleep(30)
"""
    pids: list[int] = []

    def hold() -> None:
        effects.run((sys.executable, "-c", code), check=False, cwd=REPOSITORY)

    thread = threading.Thread(target=hold)
    thread.start()
    while not (flag.exists() and flag.read_text()):
        time.sleep(0.01)
    pids.append(int(flag.read_text()))
    with pytest.raises(BusyError, match=f"process {pids[0]}"):
        run_in(root, plan_of(root))
    os.kill(pids[0], signal.SIGKILL)
    thread.join()
    assert run_in(root, plan_of(root)).result == "committed"


def test_journal_of_a_committed_run_says_so(root: Path) -> None:
    run_in(root, plan_of(root))
    history = read_journal(layout_of(root).journal_dir / "run-1.jsonl")
    assert history.has(Committed) and history.finished
    assert history.begun is not None and history.begun.plan_digest == plan_of(root).digest
