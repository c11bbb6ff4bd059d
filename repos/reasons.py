"""Why a package is in a closure, from what is wanted down to it."""

from __future__ import annotations

from collections import deque

import solv  # type: ignore[import-untyped]

from repos.closure import Solution
from repos.nevra import Nevra

_Reason = tuple[str, int | None]
"""A need that a solvable meets, and the solvable that has it; None: the manifest."""


def why(solution: Solution, name: str) -> tuple[str, ...]:
    """Why the package of that name is in: a line for each step of the shortest way to it; none if it is not in."""
    new = {solvable.id: solvable for solvable in solution.transaction.newsolvables()}
    reasons = _reasons(solution, frozenset(new))
    number = next((number for number, solvable in new.items() if solvable.name == name), None)
    lines: list[str] = []
    while number is not None:
        need, parent = reasons.get(number, ("a conditional dependency", None))
        asks = "the manifest wants" if parent is None else f"{Nevra.of(new[parent]).short} needs"
        lines.append(f"{asks} {need}: {Nevra.of(new[number]).short}")
        number = parent
    return tuple(reversed(lines))


def _reasons(solution: Solution, new: frozenset[int]) -> dict[int, _Reason]:
    """Of the solvables `new`; not of those that came by a conditional dependency or a reverse one (supplements)."""
    native = solution.pool.native
    reasons: dict[int, _Reason] = {}
    for job in solution.jobs:
        reasons |= {number: (job.text, None) for number in job.candidates if number in new and number not in reasons}
    queue = deque(sorted(reasons))
    while queue:
        solvable = native.id2solvable(queue.popleft())
        for key in (solv.SOLVABLE_REQUIRES, solv.SOLVABLE_RECOMMENDS):
            for dep in solvable.lookup_deparray(key):
                for provider in native.whatprovides(dep):
                    if provider.id in new and provider.id not in reasons:
                        reasons[provider.id] = (str(dep), solvable.id)
                        queue.append(provider.id)
    return reasons
