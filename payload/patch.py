"""Patches: a file made from an older one, in segments, so that memory does not grow with the files.

A patch is a row of segments. Each has a header (see `_HEAD`), the ranges of the old file that it is made from, and one
zstd frame for which these ranges, one behind the other, are the dictionary. Nothing here says whether the result is
right: callers know its digest.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import zstandard

from payload.digest import digest_bytes
from payload.errors import IntegrityError

SEGMENT = 8 << 20
"""So much of the new file a segment makes."""
WINDOW = 24 << 20
"""So much of the old file a segment may be made from: with the segment it bounds the memory of making and applying."""
_UNIT = 1 << 20
_BLOCK = 4096
_SAMPLES = 1 << 16
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
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, source_size=len(content), dict_size=len(window), enable_ldm=True, window_log=_window_log(window, content)
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
        if sum(length for _, length in ranges) > WINDOW:
            raise ValueError("a segment's ranges")
        window = _window(old, ranges)
        dictionary = zstandard.ZstdCompressionDict(window, dict_type=zstandard.DICT_TYPE_RAWCONTENT) if window else None
        frame = patch.read(packed)
        if len(frame) != packed:
            raise ValueError("a segment's end is missing")
        content = zstandard.ZstdDecompressor(dict_data=dictionary).decompress(frame, max_output_size=size)
    except (struct.error, ValueError, OverflowError, zstandard.ZstdError) as error:
        raise IntegrityError(
            "patch-misfit", "a patch does not fit the file that it is for", details=str(error)
        ) from error
    if len(content) != size:
        raise IntegrityError("patch-misfit", "a patch does not fit the file that it is for")
    return content


def _window(old: int, ranges: Sequence[Range]) -> bytes:
    return b"".join(os.pread(old, size, offset) for offset, size in ranges)


def _window_log(window: bytes, content: bytes) -> int:
    return max(20, (len(window) + len(content)).bit_length())


@dataclass(frozen=True, slots=True)
class _Chooser:
    """Chooses what of the old file a segment is made from: where its blocks were found, and what lies at its place."""

    size: int
    places: dict[bytes, int]
    """Samples of the old file, by the digest of a block."""

    @classmethod
    def of(cls, old: Path) -> _Chooser:
        size = old.stat().st_size
        places: dict[bytes, int] = {}
        if size > WINDOW:
            stride = max(_BLOCK, -(-size // _SAMPLES) // _BLOCK * _BLOCK)
            with old.open("rb") as stream:
                for offset in range(0, size, stride):
                    block = os.pread(stream.fileno(), _BLOCK, offset)
                    if block.strip(b"\0"):
                        places.setdefault(_name(block), offset)
        return cls(size, places)

    def ranges(self, content: bytes, start: int) -> tuple[Range, ...]:
        """At most `WINDOW` bytes of the old file, in order."""
        if self.size <= WINDOW:
            return ((0, self.size),) if self.size else ()
        votes: dict[int, int] = {}
        for offset in range(0, len(content), _BLOCK):
            place = self.places.get(_name(content[offset : offset + _BLOCK]))
            if place is not None:
                votes[place // _UNIT] = votes.get(place // _UNIT, 0) + 1
        best = sorted(votes, key=lambda unit: (-votes[unit], unit))
        around = sorted(
            range(-(-self.size // _UNIT)), key=lambda unit: (abs(unit - (start + SEGMENT // 2) // _UNIT), unit)
        )
        chosen = sorted([*dict.fromkeys((*best, *around[: WINDOW // _UNIT]))][: WINDOW // _UNIT])
        return tuple((unit * _UNIT, min(_UNIT, self.size - unit * _UNIT)) for unit in chosen)


def _name(block: bytes) -> bytes:
    return bytes.fromhex(digest_bytes(block)[7:39])
