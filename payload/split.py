"""Cutting a finished bundle into volumes: its members go into the parts, everything else stays in the first file."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from payload.digest import CHUNK
from payload.effects import fsync_dir
from payload.errors import InputError
from payload.format import ALIGNMENT, MAX_VOLUMES, MIN_VOLUME_SIZE, TRAILER_SIZE, Trailer, aligned
from payload.index import decode_index
from payload.volumes import HEADER_SIZE, VolumeHeader, volume_path


def split(whole: Path, target: Path, volume_size: int) -> tuple[Path, ...]:
    """Write the bundle `whole` as `target` and its parts, none larger than `volume_size` bytes; returns all of them.

    Signature and identity stay what they are. The first file gets its name last; parts of an older bundle of that name
    are removed. Left early, nothing stays.

    Raises:
        InputError: volumes of that size would be too small, or too many.
    """
    with whole.open("rb") as source:
        size = os.fstat(source.fileno()).st_size
        trailer = Trailer.unpack(os.pread(source.fileno(), TRAILER_SIZE, size - TRAILER_SIZE), size)
        cut = _cut(trailer, source.fileno())
        step = (volume_size - HEADER_SIZE) // ALIGNMENT * ALIGNMENT
        count = -(-(trailer.help_offset - cut) // max(step, 1))
        _check(volume_size, size - (trailer.help_offset - cut), count)
        made: list[tuple[Path, Path]] = []
        try:
            for number in range(1, count + 1):
                start = cut + (number - 1) * step
                part = min(step, trailer.help_offset - start)
                header = VolumeHeader(trailer.index_digest, number, start, part).pack()
                made.append(_write(volume_path(target, number), header, source.fileno(), [(start, part)]))
            short = replace(trailer, volumes=count, cut_offset=cut, cut_size=trailer.help_offset - cut)
            rest = size - TRAILER_SIZE - trailer.help_offset
            kept = [(0, cut), (trailer.help_offset, rest)]
            made.append(_write(target, b"", source.fileno(), kept, tail=short.pack(), mode=0o755))
            for partial, path in made:
                partial.rename(path)
        finally:
            for partial, _ in made:
                partial.unlink(missing_ok=True)
    _remove_older(target, count)
    fsync_dir(target.parent)
    return tuple(path for _, path in (made[-1], *made[:-1]))


def parse_size(text: str) -> int:
    """`4G`, `650M`, `1048576`: bytes, or powers of 1024.

    Raises:
        InputError: it is something else.
    """
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
    number, unit = (text[:-1], units[text[-1].upper()]) if text[-1:].upper() in units else (text, 1)
    if not (number.isascii() and number.isdecimal()) or not int(number):
        raise InputError("size-invalid", f"{text!r} is no size", remedy="such as 4G, 650M or a number of bytes")
    return int(number) * unit


def _cut(trailer: Trailer, fd: int) -> int:
    """Where the members start: what lies before them is stub and runtime."""
    index = decode_index(os.pread(fd, trailer.index_size, trailer.index_offset), trailer)
    return aligned(index.runtime.offset + index.runtime.size)


def _check(volume_size: int, first: int, count: int) -> None:
    if volume_size < MIN_VOLUME_SIZE or first > volume_size or count > MAX_VOLUMES:
        raise InputError(
            "volume-size",
            f"volumes of {volume_size} bytes do not do",
            details=f"the first file alone has {first} bytes; {count} parts would follow, {MAX_VOLUMES} are the most",
            remedy=f"take at least {max(first, MIN_VOLUME_SIZE) >> 20 or 1}M, and more for fewer parts",
        )


def _write(
    path: Path, head: bytes, source: int, ranges: list[tuple[int, int]], *, tail: bytes = b"", mode: int = 0o644
) -> tuple[Path, Path]:
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as out:
        out.write(head)
        out.flush()
        for offset, size in ranges:
            _copy(source, offset, size, out.fileno())
        out.seek(0, os.SEEK_END)
        out.write(tail)
        out.flush()
        os.fchmod(out.fileno(), mode)
        os.fsync(out.fileno())
    return partial, path


def _copy(source: int, offset: int, size: int, target: int) -> None:
    """Within the kernel where it can: a file system that shares blocks then copies nothing."""
    end = offset + size
    with suppress(OSError, AttributeError):
        while offset < end and (done := os.copy_file_range(source, target, end - offset, offset)):
            offset += done
    while offset < end:
        offset += os.write(target, os.pread(source, min(CHUNK, end - offset), offset))


def _remove_older(target: Path, count: int) -> None:
    for number in range(count + 1, MAX_VOLUMES + 1):
        path = volume_path(target, number)
        if not path.is_file():
            return
        with path.open("rb") as file:
            if VolumeHeader.unpack(file.read(HEADER_SIZE)) is None:
                return
        path.unlink()
