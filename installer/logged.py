"""Running a plan with a log of its own, and turning how it ended into a result or an error."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from installer.absence import AbsenceSink
from installer.layout import Layout
from installer.plan import Plan, load_plan
from installer.recovery import CutOff, resume
from installer.session import log_path
from installer.steps import Host
from installer.transaction import Outcome, run_plan
from installer.writing import must_write
from payload.digest import Digest
from payload.errors import IntegrityError, SealiftError
from payload.events import Note
from payload.sinks import LogSink, TeeSink


@dataclass(frozen=True, slots=True)
class Done:
    """A run that committed: where its log is, and for how many seconds the product was away, if it was."""

    log: Path
    absence: float | None = None


def run_logged(plan: Plan, layout: Layout, host: Host, note: str = "", asked: Digest | None = None) -> Done:
    """Run `plan` under the lock that the caller holds; `asked` stands for the operator's command.

    Raises:
        SealiftError: it did not commit; the type says what became of the host, the details name the log.
    """
    notes = (f"{plan.mode} of {plan.product} {plan.version}, plan {plan.digest}", note)
    return _logged(
        plan, log_path(layout, plan.run), host, notes, lambda host: run_plan(plan, layout, host, asked=asked)
    )


def resume_logged(cut: CutOff, layout: Layout, host: Host, secrets: Callable[[frozenset[str]], Host]) -> Done:
    """`recovery.resume` with a log beside that of the run's beginning.

    Raises:
        SealiftError: it did not commit; the type says what became of the host, the details name the log.
    """
    names = (f"{cut.begun.run}-resumed-{n}" for n in count(1))
    path = next(path for name in names if not (path := log_path(layout, name)).exists())
    notes = (f"{cut.what} goes on, plan {cut.begun.plan_digest}",)
    return _logged(load_plan(cut.begun.plan), path, host, notes, lambda host: resume(cut, layout, host, secrets))


def _logged(plan: Plan, path: Path, host: Host, notes: tuple[str, ...], act: Callable[[Host], Outcome]) -> Done:
    with must_write(path):
        file = LogSink(path)
    with closing(file) as log:
        for note in notes:
            log.emit(Note(note))
        sink = AbsenceSink(plan, TeeSink(host.sink, log))
        try:
            error = act(replace(host, sink=sink)).final_error()
        except SealiftError as failed:
            error = failed
        if error is not None:
            if not isinstance(error, IntegrityError):  # of a damaged bundle nothing stays, the log included
                error.details = "\n".join(filter(None, (error.details, f"log: {path}")))
            log.emit(Note(str(error)))
            raise error
    return Done(path, sink.seconds)
