"""Repositories from dice, for questions that are put to our solver and to dnf."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from tests.unit.repos.packages import Spec

_COUNT = 60
_CAPABILITIES = 8


@dataclass(frozen=True, slots=True)
class Question:
    """Two repositories, what is wanted of them, and what the host has already."""

    base: tuple[Spec, ...]
    updates: tuple[Spec, ...]
    wanted: tuple[str, ...]
    present: tuple[Spec, ...]


def generate(seed: int) -> Question:
    """Versions, architectures, capabilities with several providers, files, conflicts, obsoletes, rich and weak
    dependencies. Not every question has an answer."""
    dice = random.Random(seed)
    newest = [dice.randrange(1, 4) for _ in range(_COUNT)]
    every = [spec for number in range(_COUNT) for spec in _package(dice, number, newest)]
    updates = [spec for spec in every if spec.version != "1" and dice.random() < 0.3]
    base = [spec for spec in every if spec not in updates]
    wanted = tuple(f"p{number}" for number in sorted(dice.sample(range(_COUNT // 2, _COUNT), 3)))
    roots = [spec for spec in base if not (spec.requires or spec.conflicts or spec.obsoletes or spec.arch == "i686")]
    present = {spec.name: spec for spec in dice.sample(roots, min(dice.randrange(4), len(roots)))}
    return Question(tuple(base), tuple(updates), wanted, tuple(present.values()))


def _package(dice: random.Random, number: int, newest: list[int]) -> Iterator[Spec]:
    requires = tuple(dict.fromkeys(_requires(dice, number, newest)))
    conflicts = (f"p{dice.randrange(_COUNT)} < 2",) if dice.random() < 0.05 else ()
    obsoletes = (f"p{dice.randrange(_COUNT)} < 2",) if dice.random() < 0.05 else ()
    recommends = (f"p{dice.randrange(_COUNT)}",) if dice.random() < 0.2 else ()
    arches = dice.choice((("noarch",), ("x86_64",), ("x86_64", "i686")))
    for version in ("1", "2", "3")[: newest[number]]:
        provides = (f"cap{number % _CAPABILITIES} = {dice.randrange(1, 4)}",) if number < 2 * _CAPABILITIES else ()
        for arch in arches:
            yield Spec(
                f"p{number}",
                version,
                arch=arch,
                requires=requires,
                provides=provides,
                conflicts=conflicts,
                obsoletes=obsoletes,
                recommends=recommends,
                files=(f"/usr/share/p{number}/file",),
            )


def _requires(dice: random.Random, number: int, newest: list[int]) -> Iterator[str]:
    if number == 0:
        return
    for _ in range(dice.randrange(3)):
        other = dice.randrange(number)
        versions = ("", "", "", " <= 2") if newest[other] == 1 else ("", "", " >= 2", " < 3")
        yield f"p{other}" + dice.choice(versions)
    if dice.random() < 0.3:
        yield f"cap{dice.randrange(_CAPABILITIES)}" + dice.choice(("", " >= 1"))
    if dice.random() < 0.2:
        yield f"/usr/share/p{dice.randrange(number)}/file"
    if dice.random() < 0.15:
        one, two = (f"p{dice.randrange(number)}" for _ in range(2))
        yield dice.choice((f"({one} or {two})", f"({one} if {two})"))
