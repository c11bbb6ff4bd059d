"""Bytes that come piece by piece, as a file for libraries that want one."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedReader, RawIOBase

from typing_extensions import Buffer, override

_BUFFER = 1 << 20


def as_file(pieces: Iterator[bytes]) -> BufferedReader:
    """The pieces, one after the other, as a file that is read from its start to its end."""
    return BufferedReader(_Pieces(pieces), _BUFFER)


class _Pieces(RawIOBase):
    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._left = pieces, memoryview(b"")

    @override
    def readable(self) -> bool:
        return True

    @override
    def readinto(self, buffer: Buffer, /) -> int:
        view = memoryview(buffer)
        if not self._left:
            self._left = memoryview(next(self._pieces, b""))
        count = min(len(view), len(self._left))
        view[:count], self._left = self._left[:count], self._left[count:]
        return count
