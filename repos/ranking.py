"""What was seen of mirrors, and their order."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

_SAMPLE = 1 << 20
_SECONDS = 10.0
_LAGS = 3 * 86400
"""A mirror that is so many seconds behind the newest one is behind all that are not."""


@dataclass(frozen=True, slots=True)
class Limits:
    """`sample`: bytes to read of each upstream; `timeout`: seconds an upstream may take; `proxy`: a URL, for hosts
    whose package manager is configured with one and whose environment names none."""

    sample: int = _SAMPLE
    timeout: float = _SECONDS
    proxy: str | None = None


USUAL_LIMITS = Limits()


@dataclass(frozen=True, slots=True)
class Probe:
    """What was seen of a mirror. `bandwidth` is in bytes a second, `updated` says by upstream when its metadata was
    made (seconds since the epoch). A mirror with a `fault` is out; one that `lags` comes last."""

    name: str
    seconds: float
    bandwidth: float
    updated: Mapping[str, int] = field(default_factory=dict)
    fault: str = ""
    lags: bool = False

    @property
    def seen(self) -> str:
        """For people."""
        if self.fault:
            return f"out: {self.fault}"
        made = time.strftime("%Y-%m-%d", time.gmtime(min(self.updated.values(), default=0)))
        return f"{self.bandwidth / 1e6:8.2f} MB/s  {self.seconds:6.2f} s  of {made}{'  lags' if self.lags else ''}"

    def body(self) -> dict[str, Any]:
        """For programs."""
        return {
            "mirror": self.name,
            "bytes-per-second": round(self.bandwidth),
            "seconds": round(self.seconds, 3),
            "updated": dict(self.updated),
            "lags": self.lags,
            "fault": self.fault or None,
        }


@dataclass(frozen=True, slots=True)
class Ranking:
    """All mirrors, best first, those that are out last."""

    probes: tuple[Probe, ...]

    @property
    def usable(self) -> tuple[str, ...]:
        """Names to try, in this order."""
        return tuple(probe.name for probe in self.probes if not probe.fault)

    def table(self) -> str:
        """What was seen, a line for each mirror."""
        width = max((len(probe.name) for probe in self.probes), default=0)
        return "\n".join(f"{probe.name:<{width}}  {probe.seen}" for probe in self.probes)


def rank(probes: list[Probe]) -> Ranking:
    """Best first: those that lag behind the newest by days come after all that do not."""
    newest: dict[str, int] = {}
    for probe in probes:
        for upstream, made in probe.updated.items():
            newest[upstream] = max(made, newest.get(upstream, 0))
    judged = [
        replace(probe, lags=any(newest[upstream] - made > _LAGS for upstream, made in probe.updated.items()))
        for probe in probes
    ]
    return Ranking(
        tuple(sorted(judged, key=lambda probe: (bool(probe.fault), probe.lags, -probe.bandwidth, probe.name)))
    )
