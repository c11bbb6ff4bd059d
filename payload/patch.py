"""Patches: a file made from an older one, in segments, so that memory does not grow with the files.

A patch is a row of segments. Each has a header (see `_HEAD`), the ranges of the old file that it is made from, and one
zstd frame for which these ranges, one behind the other, are the dictionary. Nothing here says whether the result is
right: callers know its digest.
"""

from __future__ import annotations

import os
import re
import struct
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from payload.errors import IntegrityError
from payload.frames import frame_content

SEGMENT = 8 << 20
"""So much of the new file a segment makes."""
WINDOW = 24 << 20
"""So much of the old file a segment may be made from: with the segment it bounds the memory of making and applying."""
_UNIT = 1 << 20
_NAME = 24
"""Bytes by which a place is recognized."""
_SAMPLED = 1 << 12
"""Units of an old file whose anchors are all remembered; of larger ones, some. A unit has about 256."""
_ANCHOR = re.compile(
    b"".join(b"[" + b"".join(re.escape(bytes([16 * n + low])) for n in range(16)) + b"]" for low in (1, 5, 14))
)
"""Three bytes by their lower halves: in any kind of content about one place of 4096 is one."""
_HEAD = struct.Struct("<4sIII")
_MAGIC = b"SLp1"
_RANGE = struct.Struct("<QI")
_LEVEL = 12
_THOROUGH = 19
_WORKERS = 2

Range = tuple[int, int]
"""Offset and size."""


def make_patch(old: Path, new: Path, target: Path) -> int:
    """Write the patch that makes `new` from `old` to `target`, and say its size. The same files give the same bytes."""
    chooser = _Chooser.of(old)
    level = _THOROUGH if new.stat().st_size <= SEGMENT else _LEVEL
    with (
        old.open("rb") as before,
        new.open("rb") as after,
        target.open("wb") as out,
        ThreadPoolExecutor(_WORKERS) as pool,
    ):

        def segment(start: int) -> bytes:
            content = os.pread(after.fileno(), SEGMENT, start)
            return _segment(before.fileno(), content, chooser.ranges(content, start), level)

        for packed in pool.map(segment, range(0, new.stat().st_size, SEGMENT)):
            out.write(packed)
        return out.tell()


def apply_patch(patch: BinaryIO, old: int) -> Iterator[bytes]:
    """The new content, piece by piece; `old` is the descriptor of the old file.

    Raises:
        IntegrityError: the patch does not fit the file.
    """
    while head := patch.read(_HEAD.size):
        yield _applied(head, patch, old)


def _segment(old: int, content: bytes, ranges: Sequence[Range], level: int) -> bytes:
    window = _window(old, ranges)
    # zstd forgets the beginning of a dictionary for which its table has too few rows
    rows_log = {} if level == _THOROUGH else {"hash_log": max(17, len(window).bit_length())}
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=len(content), dict_size=len(window), window_log=_window_log(window, content), **rows_log
    )
    dictionary = zstandard.ZstdCompressionDict(window, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if window else None
    frame = zstandard.ZstdCompressor(compression_params=parameters, dict_data=dictionary).compress(content)
    rows = b"".join(_RANGE.pack(*each) for each in ranges)
    return _HEAD.pack(_MAGIC, len(ranges), len(content), len(frame)) + rows + frame


def _applied(head: bytes, patch: BinaryIO, old: int) -> bytes:
    try:
        magic, count, size, packed = _HEAD.unpack(head)
        if magic != _MAGIC or size > SEGMENT or count > WINDOW // _UNIT + 1 or packed > 2 * SEGMENT:
            raise ValueError("a segment's header")
        ranges = [_RANGE.unpack(patch.read(_RANGE.size)) for _ in range(count)]
        end = os.fstat(old).st_size
        if sum(length for _, length in ranges) > WINDOW or any(sum(each) > end for each in ranges):
            raise ValueError("a segment's ranges")
        window = _window(old, ranges)
        dictionary = zstandard.ZstdCompressionDict(window, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if window else None
        frame = patch.read(packed)
        if len(frame) != packed:
            raise ValueError("a segment's end is missing")
        content = frame_content(frame, size, dictionary)
    except (struct.error, ValueError, OverflowError) as error:
        raise IntegrityError(
            "patch-misfit", "a patch does not fit the file that it is for", details=str(error)
        ) from error
    if content is None:
        raise IntegrityError("patch-misfit", "a patch does not fit the file that it is for")
    return content


def _window(old: int, ranges: Sequence[Range]) -> bytes:
    return b"".join(os.pread(old, size, offset) for offset, size in ranges)


def _window_log(window: bytes, content: bytes) -> int:
    return max(20, (len(window) + len(content)).bit_length())


@dataclass(frozen=True, slots=True)
class _Chooser:
    """Chooses what of the old file a segment is made from: where its content was found, and what lies at its place."""

    size: int
    places: dict[bytes, int]
    """What follows an anchor of the old file, and the first unit that has it."""

    @classmethod
    def of(cls, old: Path) -> _Chooser:
        size = old.stat().st_size
        places: dict[bytes, int] = {}
        if size > WINDOW:
            sparse = -(-size // (_UNIT * _SAMPLED))
            with old.open("rb") as stream:
                for unit in range(-(-size // _UNIT)):
                    for name in _anchors(os.pread(stream.fileno(), _UNIT, unit * _UNIT), sparse):
                        places.setdefault(name, unit)
        return cls(size, places)

    def ranges(self, content: bytes, start: int) -> tuple[Range, ...]:
        """At most `WINDOW` bytes of the old file, in order."""
        if self.size <= WINDOW:
            return ((0, self.size),) if self.size else ()
        votes = Counter(self.places[name] for name in _anchors(content, 1) if name in self.places)
        best = sorted(votes, key=lambda unit: (-votes[unit], unit))
        middle = (start + len(content) // 2) // _UNIT
        around = sorted(range(-(-self.size // _UNIT)), key=lambda unit: (abs(unit - middle), unit))
        chosen = sorted([*dict.fromkeys((*best, *around))][: WINDOW // _UNIT])
        return tuple((unit * _UNIT, min(_UNIT, self.size - unit * _UNIT)) for unit in chosen)


def _anchors(content: bytes, sparse: int) -> Iterator[bytes]:
    """Names of places that are found by what stands there, wherever it was moved to; one of `sparse` is enough."""
    for found in _ANCHOR.finditer(content):
        name = content[found.end() : found.end() + _NAME]
        if len(name) == _NAME and zlib.crc32(name) % sparse == 0:
            yield name
