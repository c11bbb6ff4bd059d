"""Running a plan with a log of its own, and turning how it ended into a result or an error."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from installer.absence import AbsenceSink
from installer.layout import Layout
from installer.plan import Plan
from installer.session import log_path
from installer.steps import Host
from installer.transaction import run_plan
from payload.errors import IntegrityError, SealiftError
from payload.events import Note
from payload.sinks import LogSink, TeeSink


@dataclass(frozen=True, slots=True)
class Done:
    """A run that committed: where its log is, and for how many seconds the product was away, if it was."""

    log: Path
    absence: float | None = None


def run_logged(plan: Plan, layout: Layout, host: Host, note: str = "") -> Done:
    """Run `plan` under the lock that the caller holds.

    Raises:
        SealiftError: it did not commit; the type says what became of the host, the details name the log.
    """
    path = log_path(layout, plan.run)
    with closing(LogSink(path)) as log:
        log.emit(Note(f"{plan.mode} of {plan.product} {plan.version}, plan {plan.digest}"))
        log.emit(Note(note))
        sink = AbsenceSink(plan, TeeSink(host.sink, log))
        try:
            error = run_plan(plan, layout, replace(host, sink=sink)).final_error()
        except SealiftError as failed:
            error = failed
        if error is not None:
            if not isinstance(error, IntegrityError):  # of a damaged bundle nothing stays, the log included
                error.details = "\n".join(filter(None, (error.details, f"log: {path}")))
            log.emit(Note(str(error)))
            raise error
    return Done(path, sink.seconds)
