"""Starting and stopping the product's units, remembering which ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, VolatileStep, register
from payload.errors import CommandError, StepError

_TIMEOUT = 180


@dataclass(frozen=True, slots=True)
class RunningBefore:
    """Units that were active, in the order of their start."""

    active: tuple[str, ...]


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class StopUnits(VolatileStep[RunningBefore]):
    """Stop units; undo starts those that ran."""

    kind: ClassVar[str] = "stop"
    governs: ClassVar[str] = "units"
    undo_type: ClassVar[type[Any]] = RunningBefore
    units: tuple[str, ...]

    @override
    def describe(self) -> str:
        return f"stop {', '.join(self.units)}"

    @override
    def undone(self) -> str:
        return "start those that ran"

    @override
    def prepare(self, host: Host) -> RunningBefore:
        return RunningBefore(active_units(self.units, host))

    @override
    def apply(self, host: Host, undo: RunningBefore) -> None:
        host.run(("systemctl", "stop", *reversed(self.units)), timeout=_TIMEOUT)

    @override
    def holds(self, undo: RunningBefore, host: Host) -> bool:
        stop_loaded(self.units, host)
        return True

    @override
    def halt(self, undo: RunningBefore, host: Host) -> None:
        stop_loaded(self.units, host)

    @override
    def undo(self, undo: RunningBefore, host: Host) -> None:
        if undo.active:
            host.run(("systemctl", "reset-failed", *undo.active), check=False)
            host.run(("systemctl", "start", *undo.active), timeout=_TIMEOUT)


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class StartUnits(VolatileStep[RunningBefore]):
    """Start units; undo stops those that did not run."""

    kind: ClassVar[str] = "start"
    governs: ClassVar[str] = "units"
    undo_type: ClassVar[type[Any]] = RunningBefore
    units: tuple[str, ...]

    @override
    def describe(self) -> str:
        return f"start {', '.join(self.units)}"

    @override
    def undone(self) -> str:
        return "stop those that did not run before"

    @override
    def prepare(self, host: Host) -> RunningBefore:
        return RunningBefore(active_units(self.units, host))

    @override
    def apply(self, host: Host, undo: RunningBefore) -> None:
        try:
            host.run(("systemctl", "start", *self.units), timeout=_TIMEOUT)
        except CommandError as error:
            raise StepError(
                "start-failed",
                f"{', '.join(self.units)} did not start",
                details=f"{error.details}\n{last_lines(self.units, host)}",
                remedy="the unit's own log lines above say why",
            ) from error

    @override
    def holds(self, undo: RunningBefore, host: Host) -> bool:
        return active_units(self.units, host) == self.units

    @override
    def undo(self, undo: RunningBefore, host: Host) -> None:
        # a unit file may be gone already when a crash came between its undo and this one's record
        for unit in reversed(self.units):
            if unit not in undo.active and _loaded(unit, host):
                host.run(("systemctl", "stop", unit), timeout=_TIMEOUT)
                host.run(("systemctl", "reset-failed", unit), check=False)


def stop_loaded(units: tuple[str, ...], host: Host) -> None:
    """Stop those of `units` that systemd has."""
    if loaded := tuple(unit for unit in reversed(units) if _loaded(unit, host)):
        host.run(("systemctl", "stop", *loaded), timeout=_TIMEOUT)


def active_units(units: tuple[str, ...], host: Host) -> tuple[str, ...]:
    """Those of `units` that run, or are just starting."""
    states = unit_states(units, host)
    return tuple(unit for unit in units if states[unit] in {"active", "activating", "reloading"})


def unit_states(units: tuple[str, ...], host: Host) -> dict[str, str]:
    """systemd's word for the state of each of `units`."""
    return ask_systemd("is-active", units, host)


def ask_systemd(word: str, units: tuple[str, ...], host: Host) -> dict[str, str]:
    """What systemctl says to `word` of each of `units`: one call for all, since each takes a hundredth of a second."""
    if not units:
        return {}
    said = host.run(("systemctl", word, *units), check=False).output.split()
    if len(said) == len(units):
        return dict(zip(units, said, strict=True))
    if len(units) == 1:
        return {units[0]: "unknown"}
    return {unit: ask_systemd(word, (unit,), host)[unit] for unit in units}  # it says nothing of those that it lacks


def _loaded(unit: str, host: Host) -> bool:
    shown = host.run(("systemctl", "show", "--property=LoadState", "--value", unit), check=False)
    return shown.output.strip() not in {"not-found", ""}


def last_lines(units: tuple[str, ...], host: Host, count: int = 20) -> str:
    """The newest lines that `units` wrote to the system's journal."""
    chosen = [word for unit in units for word in ("--unit", unit)]
    command = ("journalctl", "--no-pager", "--quiet", "--output=cat", f"--lines={count}", *chosen)
    return host.run(command, check=False).output.strip()
