"""A run that was cut off, as `NAME-ctl status` and a dry run show it, with the two ways out."""

from __future__ import annotations

from collections.abc import Iterator

from installer.layout import Layout
from installer.recovery import CutOff


def unfinished_row(cut: CutOff, layout: Layout) -> dict[str, object]:
    """As data. `resume` and `undo` are commands; both are null when only tidying up is left."""
    done, total = cut.steps
    resume, undo = _ways(cut, layout)
    return {
        "journal": str(cut.path),
        "run": cut.begun.run,
        "mode": cut.begun.plan["mode"],
        "version": cut.begun.plan["version"],
        "steps-done": done,
        "steps": total,
        "resume": resume,
        "undo": undo,
    }


def unfinished_lines(cut: CutOff, layout: Layout) -> Iterator[str]:
    """As lines."""
    done, total = cut.steps
    resume, undo = _ways(cut, layout)
    if undo is None:
        yield f"  unfinished: {cut.what} is done, but tidying up was cut off; the next run does it"
        return
    yield f"  unfinished: {cut.what} was cut off after {done} of {total} steps"
    yield f"    to go on:   {resume or 'not possible, since it is being put back already'}"
    yield f"    to go back: {undo}"


def _ways(cut: CutOff, layout: Layout) -> tuple[str | None, str | None]:
    if cut.committed:
        return None, None
    undo = f"{layout.ctl.name} undo"
    if cut.undoing:
        return None, undo
    if cut.begun.bundle is None:
        return f"{layout.ctl.name} resume", undo
    return f"bash BUNDLE --resume, with the bundle of {cut.begun.plan['version']}", undo
