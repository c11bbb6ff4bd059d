"""Patches: a file made from an older one, in segments, so that memory does not grow with the files.

A patch is a row of segments. One kind is a run: bytes of the old file, as they are. The other has a header (see
`_HEAD`), the ranges of the old file that it is made from, and one zstd frame for which these ranges, one behind the
other, are the dictionary. Nothing here says whether the result is right: callers know its digest.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import zstandard

from payload.digest import CHUNK
from payload.errors import IntegrityError
from payload.frames import frame_content
from payload.origins import UNIT, Origins, Range
from payload.runs import Finder, Run

SEGMENT = 8 << 20
"""So much of the new file a segment makes."""
WINDOW = 24 << 20
"""So much of the old file a segment may be made from: with the segment it bounds the memory of making and applying."""
_HEAD = struct.Struct("<4sIII")
_MAGIC = b"SLp1"
_RUN = struct.Struct("<4sIQ")
_RUN_MAGIC = b"SLr1"
_NEAR = 64 << 10
"""So much beside a short part is its dictionary, where both of its neighbours are runs from one place."""
_SHORT = 1 << 20
_LITTLE = 2 << 20
"""So much of the old file the shortest part may be made from; a longer one from three times its size more."""
_RANGE = struct.Struct("<QI")
_LEVEL = 12
_THOROUGH = 19
_WORKERS = 2


def make_patch(old: Path, new: Path, target: Path) -> int:
    """Write the patch that makes `new` from `old` to `target`, and say its size. The same files give the same bytes."""
    origins = Origins.of(old)
    level = _THOROUGH if new.stat().st_size <= SEGMENT else _LEVEL
    with (
        old.open("rb") as before,
        new.open("rb") as after,
        target.open("wb") as out,
        ThreadPoolExecutor(_WORKERS) as pool,
    ):

        def part(start: int) -> bytes:
            content = os.pread(after.fileno(), SEGMENT, start)
            return b"".join(_segments(before.fileno(), content, start, origins, level))

        for packed in pool.map(part, range(0, new.stat().st_size, SEGMENT)):
            out.write(packed)
        return out.tell()


def apply_patch(patch: BinaryIO, old: int) -> Iterator[bytes]:
    """The new content, piece by piece; `old` is the descriptor of the old file.

    Raises:
        IntegrityError: the patch does not fit the file.
    """
    while head := patch.read(_HEAD.size):
        if head.startswith(_RUN_MAGIC):
            yield from _copied(head, old)
        else:
            yield _applied(head, patch, old)


def _segments(old: int, content: bytes, start: int, origins: Origins, level: int) -> Iterator[bytes]:
    """Runs, and what lies between them, of the part of the new file from `start` on."""
    known = origins.known(content)
    at, before = 0, -1
    for run in (*Finder(old, content, start, known).runs(), Run(len(content), -1, 0)):
        if gap := content[at : run.new]:
            if len(gap) <= _SHORT and 0 <= before <= run.old <= before + _SHORT:
                low = max(0, before - _NEAR)
                ranges: tuple[Range, ...] = ((low, min(run.old + _NEAR, origins.size) - low),)
            else:
                inner = {place - at: offsets for place, offsets in known.items() if at <= place < run.new}
                ranges = origins.ranges(inner, start + at, len(gap), min(WINDOW, 3 * len(gap) + _LITTLE))
            yield _segment(old, gap, ranges, _THOROUGH if len(gap) <= _SHORT else level)
        if run.size:
            yield _RUN.pack(_RUN_MAGIC, run.size, run.old)
        at, before = run.end, run.old + run.size


def _copied(head: bytes, old: int) -> Iterator[bytes]:
    try:
        _, size, offset = _RUN.unpack(head)
        if size > SEGMENT or offset + size > os.fstat(old).st_size:
            raise ValueError("a run's place")
    except (struct.error, ValueError) as error:
        raise _misfit(str(error)) from error
    for at in range(offset, offset + size, CHUNK):
        yield os.pread(old, min(CHUNK, offset + size - at), at)


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
        if magic != _MAGIC or size > SEGMENT or count > WINDOW // UNIT + 1 or packed > 2 * SEGMENT:
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
        raise _misfit(str(error)) from error
    if content is None:
        raise _misfit("a segment's frame")
    return content


def _misfit(why: str) -> IntegrityError:
    return IntegrityError("patch-misfit", "a patch does not fit the file that it is for", details=why)


def _window(old: int, ranges: Sequence[Range]) -> bytes:
    return b"".join(os.pread(old, size, offset) for offset, size in ranges)


def _window_log(window: bytes, content: bytes) -> int:
    return max(20, (len(window) + len(content)).bit_length())
