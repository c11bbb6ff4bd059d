"""Runs: long parts of a new file that stand in an old one as they are, wherever they went.

They are found from the places by which content is recognized (see `payload.origins`), and else by looking where a part
should be, after what was found last: edits move what follows by little. Both ends of a run are then exact.
"""

from __future__ import annotations

import os
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

LEAST = 16 << 10
"""Shorter runs are left to the compressor."""
_PROBE = 48
"""Bytes that are looked for."""
_AHEAD = (0, 64, 512, 4096, 1 << 15)
"""So far behind the end of a run the next one is looked for: what lies between was rewritten."""
_AROUND = 1 << 15
"""So far from where it should be, and twice as far as what lies between."""
_STEP = 1 << 15
_FAR, _LOOK_FAR = 4 << 20, 1 << 20
"""Before the first run is found nobody knows how far things moved: every so often the search goes far."""
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Run:
    """`size` bytes from `new` on, in the part that was asked for, are those from `old` on in the old file."""

    new: int
    old: int
    size: int

    @property
    def end(self) -> int:
        """Behind its last byte in the new part."""
        return self.new + self.size


@dataclass(frozen=True, slots=True)
class Finder:
    """Looks for `content`, the part of a new file from `start` on, in the old file `fd`.

    `known` says for places in `content` where in the old file the same may stand.
    """

    fd: int
    content: bytes
    start: int
    known: Mapping[int, Sequence[int]]

    def runs(self) -> Iterator[Run]:
        """The runs, in order and apart from each other."""
        at, expected, lost = 0, self.start, True
        places = sorted(self.known)
        while at < len(self.content):
            far = lost and at % _LOOK_FAR == 0
            found = next(self._candidates(at, expected, places, _FAR if far else _AROUND), None)
            if found is None:
                at, expected = at + _STEP, expected + _STEP
            else:
                yield found
                at, expected, lost = found.end, found.old + found.size, False

    def _candidates(self, at: int, expected: int, places: Sequence[int], around: int) -> Iterator[Run]:
        """Runs that begin at or behind `at`, before the next step."""
        for ahead in _AHEAD:
            if (old := self._search(at + ahead, expected + ahead, around + 2 * ahead)) is not None:
                yield from self._long(at, at + ahead, old)
        for place in places[bisect_left(places, at) : bisect_left(places, at + _STEP)]:
            for old in sorted(self.known[place], key=lambda old: abs(old - expected - place + at)):
                yield from self._long(at, place, old)

    def _search(self, at: int, expected: int, around: int) -> int | None:
        probe = self.content[at : at + _PROBE]
        if len(probe) < _PROBE or expected < 0:
            return None
        if os.pread(self.fd, _PROBE, expected) == probe:
            return expected
        low = max(0, expected - around)
        found = os.pread(self.fd, 2 * around, low).find(probe)
        return None if found < 0 else low + found

    def _long(self, first: int, at: int, old: int) -> Iterator[Run]:
        """The run through that place, if it is long enough; it does not reach back before `first`."""
        back = self._same_before(at, old, min(at - first, old))
        run = Run(at - back, old - back, back + self._same_behind(at, old))
        if run.size >= LEAST:
            yield run

    def _same_behind(self, at: int, old: int) -> int:
        size = 0
        while mine := self.content[at + size : at + size + _BLOCK]:
            same = _common(mine, os.pread(self.fd, len(mine), old + size))
            size += same
            if same < len(mine):
                break
        return size

    def _same_before(self, at: int, old: int, most: int) -> int:
        mine, theirs = self.content[at - most : at], os.pread(self.fd, most, old - most)
        return _common(mine[::-1], theirs[::-1])


def _common(one: bytes, other: bytes) -> int:
    """How many bytes at the front are the same."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
