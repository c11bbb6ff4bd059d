"""How long the product is away while a plan is carried out: from the stop of what ran until the product is healthy."""

from __future__ import annotations

import time

from installer.plan import Plan
from installer.steps import AwaitHealth, StartUnits, StopUnits
from installer.transaction import stage_name
from payload.events import Event, Finished, Measured, Sink, Started


class AbsenceSink:
    """Passes events on to `sink`, and after the last step that brings the product back emits a `Measured` one.

    `seconds` is what it measured; None if the plan does not stop and start the product, or has not got so far.
    """

    def __init__(self, plan: Plan, sink: Sink) -> None:
        self._sink = sink
        self._stop = next((stage_name(n) for n, step in enumerate(plan.steps) if isinstance(step, StopUnits)), None)
        back = [stage_name(n) for n, step in enumerate(plan.steps) if isinstance(step, StartUnits | AwaitHealth)]
        self._back = back[-1] if back else None
        self._began: float | None = None
        self.seconds: float | None = None

    def emit(self, event: Event) -> None:
        """See `Sink.emit`."""
        if isinstance(event, Started) and event.stage == self._stop:
            self._began = time.monotonic()
        self._sink.emit(event)
        if isinstance(event, Finished) and event.stage == self._back and self._began is not None:
            self.seconds = time.monotonic() - self._began
            self._sink.emit(Measured("absence", "the product was away, from its stop until it answered", self.seconds))

    def close(self) -> None:
        """See `Sink.close`."""
        self._sink.close()
