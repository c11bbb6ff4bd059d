"""Where in an old file the content of a new one comes from: which of its ranges a patch's segment is best made from."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

UNIT = 256 << 10
"""Ranges are made of whole units, but for the file's end."""
_NAME = 32
"""Bytes by which a place is recognized."""
_SEVERAL = 4
"""A name that stands in more units than this says nothing."""
_FEW = 4
"""Fewer names of a unit that are known do not say where it comes from."""
_SAMPLED = 1 << 12
"""Units of an old file whose anchors are all remembered; of larger ones, some. A unit has about 64."""
_ANCHOR = re.compile(
    b"".join(b"[" + b"".join(re.escape(bytes([16 * n + low])) for n in range(16)) + b"]" for low in (1, 5, 14))
)
"""Three bytes by their lower halves: in most kinds of content about one place of 4096 is one."""

Range = tuple[int, int]
"""Offset and size."""
Known = Mapping[int, Sequence[int]]
"""Places in a part of the new file, each with offsets in the old one."""


@dataclass(frozen=True, slots=True)
class Origins:
    """What is known of an old file of `size` bytes: where each name stands."""

    size: int
    places: Mapping[int, tuple[int, ...]]
    """By the number of a name, the offsets behind its anchor."""

    @classmethod
    def of(cls, old: Path) -> Origins:
        """Look through the file `old`. Memory is bounded, whatever its size."""
        size = old.stat().st_size
        places: dict[int, tuple[int, ...]] = {}
        sparse = max(1, -(-size // (UNIT * _SAMPLED)))
        with old.open("rb") as stream:
            for unit in range(-(-size // UNIT)):
                for place, name in _names(os.pread(stream.fileno(), UNIT, unit * UNIT), sparse):
                    if len(before := places.get(name, ())) <= _SEVERAL:
                        places[name] = (*before, unit * UNIT + place)
        return cls(size, {name: found for name, found in places.items() if len(found) <= _SEVERAL})

    def known(self, content: bytes) -> dict[int, tuple[int, ...]]:
        """For places in `content`, where in the old file the same may stand."""
        return {place: self.places[name] for place, name in _names(content, 1) if name in self.places}

    def ranges(self, known: Known, start: int, size: int, most: int) -> tuple[Range, ...]:
        """At most `most` bytes of the old file, in order, for `size` bytes of the new one that stand at `start`, whose
        places are `known`.

        Units that share names with it, as few as have them all; for parts without names what lies at their place, moved
        as the part before was; and what lies directly beside all these. Where nothing is known, all around its place.
        """
        if not known:
            middle, reach = (start + size // 2) // UNIT, most // UNIT
            low = max(0, min(middle - reach // 2, self._units - reach))
            return self._joined(range(low, min(low + reach, self._units)))
        blocks = [{place: known[place] for place in known if place // UNIT == at} for at in range(-(-size // UNIT))]
        found = [*self._fewest(known, start // UNIT)]
        found += self._expected(blocks, start // UNIT)
        found += [unit + side for unit in dict.fromkeys(found) for side in (-1, 1)]
        return self._joined([unit for unit in dict.fromkeys(found) if 0 <= unit < self._units][: most // UNIT])

    @property
    def _units(self) -> int:
        return -(-self.size // UNIT)

    def _fewest(self, known: Known, near: int) -> Iterator[int]:
        """Units that together have all the names, greedily: the one with most of what is left, else the nearest."""
        left: defaultdict[int, set[int]] = defaultdict(set)
        for place, offsets in known.items():
            for offset in offsets:
                left[offset // UNIT].add(place)
        while left:
            best = max(left, key=lambda unit: (len(left[unit]), -abs(unit - near), -unit))
            yield best
            had = left.pop(best)
            for other in [*left]:
                left[other] -= had
                if not left[other]:
                    del left[other]

    def _expected(self, blocks: Iterable[Known], first: int) -> Iterator[int]:
        """Where parts without names come from."""
        shift = 0
        for number, known in enumerate(blocks, first):
            votes = Counter(offset // UNIT for offsets in known.values() for offset in offsets)
            if len(known) < _FEW:
                yield from (number + shift, number + shift + 1)
            else:
                shift = min(votes, key=lambda unit: (-votes[unit], abs(unit - number - shift), unit)) - number

    def _joined(self, units: Iterable[int]) -> tuple[Range, ...]:
        """Units beside each other are one range."""
        ranges: list[Range] = []
        for unit in sorted(units):
            offset, size = unit * UNIT, min(UNIT, self.size - unit * UNIT)
            if ranges and sum(ranges[-1]) == offset:
                ranges[-1] = (ranges[-1][0], ranges[-1][1] + size)
            else:
                ranges.append((offset, size))
        return tuple(ranges)


def _names(content: bytes, sparse: int) -> Iterator[tuple[int, int]]:
    """Places that are found by what stands there, wherever it was moved to, with their names; one of `sparse` is
    enough."""
    for found in _ANCHOR.finditer(content):
        text = content[found.end() : found.end() + _NAME]
        if len(text) == _NAME:
            name = int.from_bytes(hashlib.blake2b(text, digest_size=7).digest())
            if name % sparse == 0:
                yield found.end(), name
