"""Runs that a crash cut off: which there are, whether one can go on and from where, and both ways out of them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path

from installer.journal import Begun, Committed, History, Journal, RollingBack, read_journal
from installer.layout import Layout
from installer.plan import Plan, load_plan
from installer.steps import Host, VolatileStep, WriteSecrets, load_undo
from installer.transaction import Outcome, resume_plan, settle
from payload.digest import Digest
from payload.errors import IntegrityError, StepError


@dataclass(frozen=True, slots=True)
class CutOff:
    """The journal of an unfinished run, as read."""

    path: Path
    history: History
    begun: Begun

    @property
    def what(self) -> str:
        """The run, for people."""
        plan = self.begun.plan
        return f"the {plan['mode']} of {plan['product']} {plan['version']}"

    @property
    def committed(self) -> bool:
        """All is done but the tidying up: there is nothing to choose."""
        return self.history.has(Committed)

    @property
    def undoing(self) -> bool:
        """It is being put back: there is nothing to choose either."""
        return self.history.has(RollingBack)

    @property
    def steps(self) -> tuple[int, int]:
        """How many steps are done, and how many there are."""
        return self.history.point, len(self.begun.plan["steps"])


def unfinished(layout: Layout) -> tuple[CutOff, ...]:
    """Runs that a crash cut off: the one that did not get to its commit, then those that are only to be tidied up.

    There is at most one of the first kind, since no run begins before that is at an end. So the order does not rest on
    the names of journals, which are times by a clock that may have been set back.

    Raises:
        IntegrityError: a journal is damaged or from a newer installer.
    """
    if not layout.journal_dir.is_dir():
        return ()
    read = ((path, read_journal(path)) for path in sorted(layout.journal_dir.glob("*.jsonl")))
    found = (CutOff(path, history, history.begun) for path, history in read if history.begun and not history.finished)
    return tuple(sorted(found, key=lambda cut: cut.committed))


def recover(layout: Layout, host: Host) -> tuple[Outcome, ...]:
    """Close runs that were committed, and roll all others back.

    Raises:
        NeedsOperatorError: undoing failed again.
        IntegrityError: a journal is damaged or from a newer installer.
    """
    outcomes = []
    for cut in unfinished(layout):
        plan = load_plan(cut.begun.plan)
        with closing(Journal(cut.path)) as journal:
            own = replace(host, scratch=layout.scratch(plan.run), used_since=True)
            outcomes.append(settle(plan, journal, own, StepError("run-cut-off", f"{cut.what} was cut off")))
    return tuple(outcomes)


def obstacle(cut: CutOff, bundle: Digest | None) -> str:
    """Why the run cannot go on, by this program with `bundle` at hand; empty if it can."""
    if cut.undoing:
        return "it is being put back already"
    if cut.begun.bundle not in {None, bundle}:
        return "it needs the bundle that it was begun with"
    try:
        same = load_plan(cut.begun.plan).digest == cut.begun.plan_digest
    except IntegrityError as error:
        return error.brief
    return "" if same else "this program reads its plan in another way than the one that wrote it"


def resume_point(plan: Plan, history: History) -> int:
    """The step from which the run goes on: the one that was cut off, or an earlier one that has to come first again.

    Pure. Two kinds of steps have to: those on whose undo the cut-off step's own rests, and, since the operator may give
    other secrets than before, those that read one when a later step reads one too.
    """
    at = history.point
    standing = [n for n in history.to_undo if n >= at]
    at = min((at, *(_base(plan, n) for n in standing)))
    kept = {name for step in plan.steps if isinstance(step, WriteSecrets) for name in step.names}
    readers = [n for n, step in enumerate(plan.steps) if set(step.reads) - kept]
    if readers and readers[0] < at <= readers[-1]:
        at = _base(plan, readers[0])
    return at


def secrets_wanted(plan: Plan, at: int) -> frozenset[str]:
    """Names of the secrets that the steps from `at` on need."""
    left = plan.steps[at:]
    written = {name for step in left if isinstance(step, WriteSecrets) for name in step.names}
    return frozenset(written.union(*(step.reads for step in left)))


def resume(cut: CutOff, layout: Layout, host: Host, secrets: Callable[[frozenset[str]], Host]) -> Outcome:
    """Go on with a run that has no `obstacle`, under the lock that the caller holds.

    `secrets` gives `host` with the secrets of these names.

    Raises:
        NeedsOperatorError: a step failed, and so did undoing.
        SealiftError: a secret is not at hand; nothing was changed.
    """
    plan = load_plan(cut.begun.plan)
    at = resume_point(plan, cut.history)
    scratch = layout.scratch(plan.run)
    host = replace(secrets(secrets_wanted(plan, at)), sink=host.sink, scratch=scratch, used_since=True)
    with closing(Journal(cut.path)) as journal:
        return resume_plan(plan, _held(plan, cut.history, at, host), journal, host)


def _base(plan: Plan, n: int) -> int:
    """The nearest step before `n` whose undo that of `n` rests on, else `n`."""
    return next((m for m in range(n - 1, -1, -1) if plan.steps[m].kind in plan.steps[n].redone_from), n)


def _held(plan: Plan, history: History, at: int, host: Host) -> int:
    """`at`, or an earlier step whose doing did not last until now: a reboot starts what was stopped."""
    asked: set[str] = set()
    for n in range(at - 1, -1, -1):
        step = plan.steps[n]
        if isinstance(step, VolatileStep) and step.governs not in asked:
            asked.add(step.governs)
            if not step.holds(load_undo(step, history.intended[n]), host):
                at = n
    return at
