"""Waiting until the product answers."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import ClassVar

from typing_extensions import override

from installer.steps.base import Host, Nothing, PlainStep, register
from installer.steps.service import last_lines, unit_states
from payload.errors import StepError
from payload.events import Note

_PAUSE = 0.1
_ONE_TRY = 5.0


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class AwaitHealth(PlainStep):
    """Ask `url` until it answers 200, at most `timeout` seconds. A unit that has failed ends the wait at once."""

    kind: ClassVar[str] = "health"
    url: str
    timeout: float
    units: tuple[str, ...] = ()

    @override
    def describe(self) -> str:
        return f"wait until {self.url} answers (at most {self.timeout:g} s)"

    @override
    def undone(self) -> str:
        return ""

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        from installer.steps.asking import ask  # noqa: PLC0415 - HTTP and TLS: not needed before the last step

        began = time.monotonic()
        while True:
            seen = ask(self.url, _ONE_TRY)
            if seen == "200":
                host.sink.emit(Note(f"healthy after {time.monotonic() - began:.1f} s", "detail"))
                return
            failed = [unit for unit, state in unit_states(self.units, host).items() if state == "failed"]
            if failed or time.monotonic() - began > self.timeout:
                raise self._unhealthy(seen, failed, host)
            time.sleep(_PAUSE)

    def _unhealthy(self, seen: str, failed: list[str], host: Host) -> StepError:
        why = f"{', '.join(failed)} failed" if failed else f"no good answer within {self.timeout:g} s"
        return StepError(
            "unhealthy",
            f"the product does not become healthy: {why}",
            details=f"{self.url}: {seen}\n{last_lines(self.units, host) if self.units else ''}".strip(),
            remedy="the unit's own log lines above say why",
        )

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        """Nothing was changed."""
