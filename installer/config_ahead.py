"""What becomes of the configuration, found out before anything is changed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from installer.layout import Layout
from installer.merging import Conflict
from installer.offer import SHIPPED_FOLDER
from installer.plan import Plan
from installer.preflight import Misfit, Result, finding
from installer.request import ConfigConflicts
from installer.state import State
from installer.steps import WriteConfig
from installer.steps.config import RenderedConfig, read_config
from payload.digest import digest_bytes

_CHECK = "config-conflict"
_LINES = 3
"""So many lines of each side are shown."""


def shipped_config(layout: Layout, state: State) -> dict[Path, str]:
    """Configuration files as the current release rendered them, as far as that is known."""
    folder = layout.release(state.current) / SHIPPED_FOLDER
    texts: dict[Path, str] = {}
    for name, digest in state.current_record.config.items():
        path = Path(name)
        kept = folder / path.relative_to(layout.config_dir)
        for candidate in (kept, path):  # an unedited file is what was rendered
            text = read_config(candidate)
            if text is not None and digest_bytes(text.encode(errors="surrogateescape")) == digest:
                texts[path] = text
                break
    return texts


def config_result(plan: Plan, policy: ConfigConflicts) -> Result:
    """A check with a finding for each conflict of `plan`; strict when the operator wants none."""
    files = (file for step in plan.steps if isinstance(step, WriteConfig) for file in step.files)
    conflicts = [(file, conflict) for file in files for conflict in file.merged().conflicts]
    findings = (finding(_CHECK, _misfit(*each, policy), strict=policy == "refuse") for each in conflicts)
    about = "your changes of the configuration and the vendor's go together"
    return Result(_CHECK, about, "strict" if policy == "refuse" else "advisory", tuple(findings))


def _misfit(file: RenderedConfig, conflict: Conflict, policy: ConfigConflicts) -> Misfit:
    place = f"{file.path}, line {conflict.line}: you and the vendor changed the same place"
    return Misfit(f"{place}\n{_sides(conflict)}", "one of both", _fix(file, policy))


def _fix(file: RenderedConfig, policy: ConfigConflicts) -> str:
    if policy == "keep":
        return f"nothing need be done: yours stays; afterwards compare it with {file.new_default}"
    return "change the file, or say --config-conflicts keep: then yours stays"


def _sides(conflict: Conflict) -> str:
    return "\n".join((*_shown("yours", conflict.operators), *_shown("new default", conflict.shipped)))


def _shown(whose: str, lines: tuple[str, ...]) -> Iterator[str]:
    for line in lines[:_LINES] or ("(nothing)",):
        yield f"    {whose}: {line.encode(errors='replace').decode()}"
    if len(lines) > _LINES:
        yield f"    {whose}: and {len(lines) - _LINES} lines more"
