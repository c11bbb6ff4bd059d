"""Running a plan so that it ends in one of two states: all of it, or nothing of it.

Rolling back after a failure and undoing after a crash are one function over the journal on the disk; running a plan and
going on with one are another.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from installer.journal import (
    Applied,
    Begun,
    Closed,
    Committed,
    History,
    Intended,
    Journal,
    Resumed,
    RolledBack,
    RollingBack,
    Undone,
)
from installer.layout import Layout
from installer.mounts import way_out
from installer.plan import Plan, load_plan
from installer.signals import Interrupted, ignored, raising
from installer.steps import AnyStep, Host, dump_undo, load_undo
from installer.steps.saved import remove_tree
from payload.digest import Digest
from payload.errors import ExitCode, NeedsOperatorError, SealiftError, StepError
from payload.events import Note, stage

_RESERVE = 8 << 20
Result = Literal["committed", "rejected", "rolled-back"]


class InterruptedRunError(SealiftError):
    """A signal stopped the run, and everything was put back."""

    exit_code = ExitCode.INTERRUPTED


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended. `error` is what stopped it."""

    result: Result
    plan: Plan
    error: SealiftError | None = None

    def final_error(self) -> SealiftError | None:
        """The error that tells the operator how it ended; None after a commit."""
        if self.error is None or self.result == "rejected" or isinstance(self.error, InterruptedRunError):
            return self.error
        return StepError(
            "rolled-back",
            f"the {self.plan.mode} of {self.plan.product} {self.plan.version} was undone: {self.error.brief}",
            details="\n".join(filter(None, (f"[{self.error.code}]", self.error.details))),
            remedy=self.error.remedy or "solve what the details say and run the same command again",
        )


def run_plan(
    plan: Plan,
    layout: Layout,
    host: Host,
    *,
    asked: Digest | None = None,
    open_journal: Callable[[Path], Journal] = Journal,
) -> Outcome:
    """Run `plan` under the product's lock, which the caller holds. `asked` stands for the operator's command.

    Raises:
        NeedsOperatorError: a step failed, and so did undoing. The journal stays; the next start tries again.
    """
    host = replace(host, scratch=layout.scratch(plan.run))
    with raising() as check:
        try:
            journal = open_journal(layout.journal_dir / f"{plan.run}.jsonl")
        except Interrupted as signal:
            return Outcome("rejected", plan, _as_error(signal))
        bundle = host.bundle.release if host.bundle else None
        begun = Begun(run=plan.run, plan_digest=plan.digest, plan=plan.to_body(), bundle=bundle, asked=asked)
        with closing(journal):
            return _drive(plan, 0, journal, host, lambda: journal.append(begun), check=check)


def resume_plan(plan: Plan, at: int, journal: Journal, host: Host) -> Outcome:
    """Go on with the cut-off run of `journal`: undo what stands from step `at` on, and do all from there.

    It ends as `run_plan` does. `host` has the run's scratch folder.
    """

    def rewind() -> None:
        journal.append(Resumed(at=at))
        _undo_steps(plan, tuple(n for n in journal.history().to_undo if n >= at), journal, host)

    with raising() as check:
        return _drive(plan, at, journal, host, rewind, check=check)


def settle(plan: Plan, journal: Journal, host: Host, cause: SealiftError) -> Outcome:
    """Bring a cut-off run to its end without going on: a committed one is closed, any other is rolled back.

    Raises:
        NeedsOperatorError: undoing failed again.
    """
    with ignored():
        if journal.history().has(Committed):
            _close(plan, journal, host)
            return Outcome("committed", plan)
        return _undo_run(plan, journal, host, cause)


def _drive(
    plan: Plan, first: int, journal: Journal, host: Host, begin: Callable[[], None], *, check: Callable[[], None]
) -> Outcome:
    """`begin`, and the steps from `first` on; whatever stops that, all of the run is undone.

    `check` raises what has to stop the run between two steps.
    """
    try:
        _reserve(journal.path)
        begin()
        for n, step in enumerate(plan.steps[first:], first):
            check()
            _act(n, step, journal, host)
        check()
        journal.append(Committed())
    except BaseException as error:
        return settle(plan, journal, host, _as_error(error))
    with ignored():
        _close(plan, journal, host)
        return Outcome("committed", plan)


def _act(n: int, step: AnyStep, journal: Journal, host: Host) -> None:
    own = host.within(f"{n:02}-{step.kind}")
    own.scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
    with stage(host.sink, stage_name(n), step.describe()):
        undo = step.prepare(own)
        journal.append(Intended(n=n, undo=dump_undo(step, undo)))
        step.apply(own, undo)
        journal.append(Applied(n=n))


def _undo_run(plan: Plan, journal: Journal, host: Host, error: SealiftError) -> Outcome:
    with _or_operator("could not put an end to the run", journal):
        _release_reserve(journal.path)
        history = journal.history()
        if history.begun is None:  # not even the plan was written, so nothing was done
            journal.path.unlink(missing_ok=True)
            return Outcome("rejected", plan, error)
        host.sink.emit(Note(f"{error.brief} [{error.code}]", "warning"))
        host.sink.emit(Note(str(error), "detail"))
        host.sink.emit(Note(f"putting back {len(history.to_undo)} steps"))
        journal.append(RollingBack(why=f"{error.code}: {error.brief}"))
        _undo_steps(plan, history.to_undo, journal, host)
        remove_tree(host.scratch.parent)  # before the record: else nobody would look for it again
        journal.append(RolledBack())
    only_staged = plan.mode != "repair" and all(plan.steps[n].staging for n in history.intended)
    return Outcome("rejected" if only_staged else "rolled-back", plan, error)


def _undo_steps(plan: Plan, numbers: tuple[int, ...], journal: Journal, host: Host) -> None:
    history = journal.history()
    for n in numbers:
        with _or_operator(f"could not undo: {plan.steps[n].describe()}", journal):
            plan.steps[n].halt(load_undo(plan.steps[n], history.intended[n]), host)
    for n in numbers:
        with _or_operator(f"could not undo: {plan.steps[n].describe()}", journal):
            _undo_step(n, plan.steps[n], history, journal, host)


def _undo_step(n: int, step: AnyStep, history: History, journal: Journal, host: Host) -> None:
    with stage(host.sink, f"undo-{n}", f"undo: {step.describe()}"):
        step.undo(load_undo(step, history.intended[n]), host.within(f"{n:02}-{step.kind}"))
        journal.append(Undone(n=n))


@contextmanager
def _or_operator(failure: str, journal: Journal) -> Iterator[None]:
    """Whatever goes wrong inside needs an operator, who is told of `failure` and of what is left to undo."""
    try:
        yield
    except NeedsOperatorError:
        raise
    except Exception as error:
        left = "\n".join(f"- {each}" for each in _left(journal.history(), journal))
        raise NeedsOperatorError(
            "undo-failed",
            failure,
            details=f"{error}\nstill to be undone:\n{left}\njournal: {journal.path}",
            remedy="remove the cause and run the same command again: it takes up undoing where it stopped",
        ) from error


def _left(history: History, journal: Journal) -> tuple[str, ...]:
    if history.begun is None:
        return (str(journal.path),)
    steps = load_plan(history.begun.plan).steps
    return tuple(steps[n].describe() for n in history.to_undo)


def _close(plan: Plan, journal: Journal, host: Host) -> None:
    """After the commit. A failure here leaves rubbish, never a wrong state; the next start tries again."""
    history = journal.history()
    try:
        _release_reserve(journal.path)
        for n, step in enumerate(plan.steps):
            step.cleanup(load_undo(step, history.intended[n]), host.within(f"{n:02}-{step.kind}"))
        remove_tree(host.scratch)
        if not history.has(Closed):
            journal.append(Closed())
    except (SealiftError, OSError) as error:
        text = f"done, but tidying up was not: {error}; the next run of the installer tries again"
        host.sink.emit(Note(text, "warning"))


def _as_error(cause: BaseException) -> SealiftError:
    if isinstance(cause, SealiftError):
        return cause
    if isinstance(cause, Interrupted | KeyboardInterrupt):
        return InterruptedRunError("interrupted", f"stopped by {cause or 'SIGINT'}; everything was put back")
    if isinstance(cause, OSError):
        return StepError(
            "io-failed", f"{cause.strerror or cause}", details=f"file: {cause.filename}", remedy=_way_out(cause)
        )
    return StepError("step-crashed", f"{type(cause).__name__}: {cause}", remedy="this is a defect: report it")


def _way_out(error: OSError) -> str:
    """What helps, where that is not plain from the text. A folder that is busy is one where something is mounted."""
    if error.errno != errno.EBUSY or not error.filename:
        return ""
    place = Path(os.fsdecode(error.filename))
    return f"something is mounted there: {way_out((place,))}; then run the same command again"


def _reserve(journal: Path) -> None:
    """Set room aside for a rollback (records, unit files, a starting service), so that a full disk does not stop it."""
    fd = os.open(_reserve_path(journal), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(fd, 0, _RESERVE)
    finally:
        os.close(fd)


def _release_reserve(journal: Path) -> None:
    _reserve_path(journal).unlink(missing_ok=True)


def _reserve_path(journal: Path) -> Path:
    return journal.with_suffix(".reserve")


def stage_name(n: int) -> str:
    """The stage, in events, of step `n` while it acts."""
    return f"step-{n}"
