"""Both ways out of a cut-off run, with what the operator reads afterwards; and which command goes on by itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from installer.layout import Layout
from installer.lock import exclusive
from installer.logged import Done, resume_logged
from installer.offer import installed_offer
from installer.plan import Plan, load_plan
from installer.recovery import CutOff, recover, unfinished
from installer.report import REPORTED, final_report
from installer.state import State, load_state, parse_state
from installer.steps import Host, RecordState, RemoveTrees, WriteSecrets, load_undo
from installer.steps.saved import SavedFiles, remove_empty, remove_tree
from payload.digest import Digest, digest_bytes
from payload.errors import UsageError
from payload.events import Note

NOTHING = "No run was cut off: nothing to do."


def command_digest(*words: object) -> Digest:
    """Stands for a command in a journal: the same command again goes on with its run."""
    return digest_bytes(json.dumps(words, sort_keys=True, default=str).encode())


def waiting_run(layout: Layout) -> CutOff | None:
    """The run that was cut off before its commit, if there is one."""
    return next((cut for cut in unfinished(layout) if not cut.committed), None)


def check_resumable(cut: CutOff, reason: str, remedy: str) -> None:
    """Refuse to go on where something stands in the way.

    Raises:
        UsageError: `reason` is one.
    """
    if reason:
        raise UsageError("not-resumable", f"{cut.what} cannot go on: {reason}", remedy=remedy)


def go_on(cut: CutOff, layout: Layout, host: Host, secrets: Callable[[frozenset[str]], Host]) -> tuple[str, ...]:
    """Go on with a run that has no obstacle, under the lock that the caller holds; returns the report.

    Raises:
        SealiftError: it did not commit; the type says what became of the host.
    """
    done, total = cut.steps
    host.sink.emit(Note(f"{cut.what} was cut off after {done} of {total} steps; it goes on", "warning"))
    plan = load_plan(cut.begun.plan)
    before = _state_before(cut, plan, layout)
    finished = resume_logged(cut, layout, host, secrets)
    _remove_copies(layout)
    return _report(plan, layout, before, finished)


def put_back(layout: Layout, host: Host) -> tuple[str, ...]:
    """Undo what was cut off, under the lock that the caller holds; a committed run is tidied up. A line for each.

    Raises:
        SealiftError: it could not be.
    """
    lines = []
    outcomes = recover(layout, host)
    _remove_copies(layout)
    for outcome in outcomes:
        plan = outcome.plan
        ended = "was done already; only tidying up was left" if outcome.result == "committed" else "is undone"
        lines.append(f"The {plan.mode} of {plan.product} {plan.version} that was cut off {ended}.")
        if plan.mode == "uninstall" and outcome.result == "committed":
            lines += leave(layout, plan)
    return tuple(lines)


def nothing_to_do(layout: Layout) -> tuple[str, ...]:
    """No run was cut off; a command that was killed before it began one may have left what it ran from, which goes.

    Raises:
        SealiftError: another run is at work.
    """
    if any(layout.prefix.glob(".uninstall.*")):
        with exclusive(layout):
            _remove_copies(layout)
    return (NOTHING,)


def leave(layout: Layout, plan: Plan) -> tuple[str, ...]:
    """After an uninstall that committed: the installer's own folder goes, which has nothing more to say."""
    purge = any(isinstance(step, RemoveTrees) and layout.config_dir in step.paths for step in plan.steps)
    remove_tree(layout.data_dir if purge else layout.state_dir)
    _remove_copies(layout)
    remove_empty((layout.prefix, layout.data_dir, layout.config_dir))
    if purge:
        remove_tree(layout.log_dir)
    left = [path for path in (layout.config_dir, layout.data_dir, layout.log_dir) if path.exists()]
    stays = [f"These stay: {', '.join(map(str, left))}. To remove them too, use --purge."] if left else []
    return (f"{layout.product} is removed from this host.", *stays)


def _remove_copies(layout: Layout) -> None:
    """What `ctl.sh.j2` makes for an uninstall to run from, and one that was killed left; none that is in use."""
    for copy in layout.prefix.glob(".uninstall.*"):
        if not _runs_from(copy):
            remove_tree(copy)


def _runs_from(folder: Path) -> bool:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):  # it ended meanwhile, or is the kernel's
            if (process / "exe").readlink().is_relative_to(folder.resolve()):
                return True
    return False


def _report(plan: Plan, layout: Layout, before: State | None, done: Done) -> tuple[str, ...]:
    if plan.mode == "uninstall":
        return leave(layout, plan)
    state = load_state(layout)
    if state is None or plan.mode not in REPORTED:
        return (f"The {plan.mode} of {plan.product} {plan.version} is done.", f"  log: {done.log}")
    record = state.current_record
    offer = installed_offer(layout, record.version, record.bundle, state.answers)
    generated = tuple(name for step in plan.steps if isinstance(step, WriteSecrets) for name in step.names)
    return final_report(plan.mode, layout, offer, generated=generated, before=before, done=done)


def _state_before(cut: CutOff, plan: Plan, layout: Layout) -> State | None:
    """What was installed when the run began: the step that writes the new state has kept the old one."""
    for n in cut.history.to_undo:
        if isinstance(plan.steps[n], RecordState):
            kept: SavedFiles = load_undo(plan.steps[n], cut.history.intended[n])
            copy = kept.files[0].copy
            return None if copy is None else parse_state(copy.read_text(encoding="utf-8"), copy)
    return load_state(layout)
