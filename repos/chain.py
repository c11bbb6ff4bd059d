"""Why something cannot be installed, in plain words: from what is wanted down to what is missing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import solv  # type: ignore[import-untyped]

_MISSING = solv.Solver.SOLVER_RULE_PKG_NOTHING_PROVIDES_DEP


@dataclass(slots=True)
class _Facts:
    """What the rules of a problem say. Solvables are named by their id."""

    wanted: list[tuple[str, list[int]]] = field(default_factory=list)
    requires: dict[int, list[tuple[str, list[int]]]] = field(default_factory=dict)
    missing: dict[int, list[str]] = field(default_factory=dict)
    other: list[tuple[str, list[int]]] = field(default_factory=list)


def explain(problem: Any, pool: Any, jobs: Mapping[int, tuple[str, list[int]]]) -> str:
    """The chains of packages that end at what `problem` is about, one a line.

    `jobs` says of each job, by its `what`, which text asked for it and which solvables would do.
    """
    infos = [info for rule in problem.findallproblemrules(1) for info in rule.allinfos()]
    facts = _gather(infos, pool, jobs)
    lines: list[str] = []
    for wanted, candidates in facts.wanted:
        lines += _chains(wanted, candidates, facts, pool)
    lines += [text for text, _ in facts.other]
    return "\n".join(dict.fromkeys(lines)) or str(problem)


def _gather(infos: Iterable[Any], pool: Any, jobs: Mapping[int, tuple[str, list[int]]]) -> _Facts:
    facts = _Facts()
    for info in infos:
        if info.type == solv.Solver.SOLVER_RULE_JOB:
            # Only the number is looked at: for a job that lists its solvables it names no dependency.
            if info.dep_id in jobs:
                facts.wanted.append(jobs[info.dep_id])
        elif info.type == solv.Solver.SOLVER_RULE_PKG_REQUIRES:
            row = (str(info.dep), _providers(info.dep, pool))
            facts.requires.setdefault(info.solvable.id, []).append(row)
        elif info.type == _MISSING:
            facts.missing.setdefault(info.solvable.id, []).append(str(info.dep))
        else:
            involved = [one.id for one in (info.solvable, info.othersolvable) if one is not None]
            facts.other.append((info.problemstr(), involved))
    return facts


def _providers(dep: Any, pool: Any) -> list[int]:
    return [] if dep is None else [solvable.id for solvable in pool.whatprovides(dep)]


def _chains(wanted: str, candidates: list[int], facts: _Facts, pool: Any) -> list[str]:
    """The shortest chain from `wanted` to each package that lacks something or is part of a conflict."""
    clashing = {number for _, involved in facts.other for number in involved}
    queue = deque((number, f"{wanted} is wanted") for number in candidates)
    seen = set(candidates)
    found: list[str] = []
    while queue:
        number, text = queue.popleft()
        name = str(pool.id2solvable(number))
        found += [f"{text}; {name} requires {dep}, which nothing provides" for dep in facts.missing.get(number, ())]
        if number in clashing and number not in facts.requires:
            found.append(f"{text}; that is {name}")
        for dep, providers in facts.requires.get(number, ()):
            for provider in providers:
                if provider not in seen:
                    seen.add(provider)
                    queue.append((provider, f"{text}; {name} requires {dep}"))
    return found
