"""The bytes of a bundle as one row, whether they lie in one file or in several.

A split bundle is `X.bin`, which keeps everything but the members, and `X.bin.001`, `X.bin.002`, … with the members,
each behind a header of 4096 bytes that says whose part it is. Nothing is ever joined: a read goes to the part that has
the bytes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from payload.digest import CHUNK, Digest, digest_bytes
from payload.errors import IntegrityError, UsageError
from payload.format import ALIGNMENT, Trailer
from payload.model import FORMAT_VERSION

HEADER_SIZE = ALIGNMENT
_MAGIC = "SEALIFT volume "
_SHAPE = re.compile(
    rf"{_MAGIC}([0-9]{{1,6}})\nbundle (sha256:[0-9a-f]{{64}})\nnumber ([0-9]{{1,3}})\noffset ([0-9]{{1,16}})\n"
    r"size ([0-9]{1,16})\ncheck (sha256:[0-9a-f]{64})\n\0*"
)


@dataclass(frozen=True, slots=True)
class VolumeHeader:
    """Which part of which bundle a volume is: it holds `size` bytes from `offset` of the whole on."""

    bundle: Digest
    """Digest of the stored index: the bundle's identity."""
    number: int
    offset: int
    size: int

    def pack(self) -> bytes:
        """The first `HEADER_SIZE` bytes of the volume."""
        text = (
            f"{_MAGIC}{FORMAT_VERSION}\nbundle {self.bundle}\nnumber {self.number}\n"
            f"offset {self.offset}\nsize {self.size}\n"
        )
        return f"{text}check {digest_bytes(text.encode())}\n".encode().ljust(HEADER_SIZE, b"\0")

    @classmethod
    def unpack(cls, raw: bytes) -> VolumeHeader | None:
        """What `pack` wrote; None for anything else."""
        found = _SHAPE.fullmatch(raw.decode("ascii", errors="replace"))
        if found is None:
            return None
        header = cls(found[2], *map(int, found.group(3, 4, 5)))
        return header if header.pack() == raw else None


@dataclass(frozen=True, slots=True)
class Span:
    """`size` bytes of the whole from `offset` on, as they lie from `position` on in the open file `fd`."""

    fd: int
    position: int
    offset: int
    size: int


class OpenVolumes:
    """Reads by position; safe from several threads. See `Volumes.opened`."""

    def __init__(self, spans: Sequence[Span]) -> None:
        self._spans = spans

    def spans(self, offset: int, size: int) -> Iterator[Span]:
        """Where `size` bytes from `offset` on lie."""
        for span in self._spans:
            start, end = max(offset, span.offset), min(offset + size, span.offset + span.size)
            if start < end:
                yield Span(span.fd, span.position + start - span.offset, start, end - start)

    def pread(self, size: int, offset: int) -> bytes:
        """Exactly `size` bytes from `offset` on.

        Raises:
            IntegrityError: a file ended before.
        """
        pieces = [piece for span in self.spans(offset, size) for piece in _read(span)]
        content = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if len(content) != size:
            raise IntegrityError("bundle-truncated", "the file ended while it was read", remedy="copy it again")
        return content

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        """The same, a piece at a time."""
        for start in range(offset, offset + size, CHUNK):
            yield self.pread(min(CHUNK, offset + size - start), start)


def _read(span: Span) -> Iterator[bytes]:
    position, end = span.position, span.position + span.size
    while position < end and (piece := os.pread(span.fd, end - position, position)):
        position += len(piece)
        yield piece


@dataclass(frozen=True, slots=True)
class _Extent:
    path: Path
    position: int
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class Volumes:
    """The files of a bundle of `size` bytes. Holds nothing open."""

    size: int
    extents: tuple[_Extent, ...]

    @contextmanager
    def opened(self) -> Iterator[OpenVolumes]:
        """All files, open.

        Raises:
            OSError: one is gone meanwhile.
        """
        with ExitStack() as stack:
            fds: dict[Path, int] = {}
            for extent in self.extents:
                if extent.path not in fds:
                    fds[extent.path] = os.open(extent.path, os.O_RDONLY | os.O_CLOEXEC)
                    stack.callback(os.close, fds[extent.path])
            yield OpenVolumes([Span(fds[each.path], each.position, each.offset, each.size) for each in self.extents])


def volume_path(first: Path, number: int) -> Path:
    """The name of a part beside the first file."""
    return first.with_name(f"{first.name}.{number:03}")


def find_volumes(first: Path, trailer: Trailer, folders: Sequence[Path] = ()) -> Volumes:
    """The files of the bundle whose first file and trailer these are; parts lie beside it or in one of `folders`.

    A part may have been renamed as long as its number is still the end of its name.

    Raises:
        IntegrityError: parts are missing, foreign or cut off; lists all of them.
    """
    if trailer.volumes == 0:
        return Volumes(trailer.file_size, (_Extent(first, 0, 0, trailer.file_size),))
    extents, problems, end = [_Extent(first, 0, 0, trailer.cut_offset)], [], trailer.cut_offset
    for number in range(1, trailer.volumes + 1):
        try:
            path, header = _find(first, number, trailer.index_digest, folders)
        except UsageError as problem:
            problems.append(problem.brief)
            continue
        if header.offset != end and not problems:
            problems.append(f"{path}: does not follow the part before it")
        extents.append(_Extent(path, HEADER_SIZE, header.offset, header.size))
        end = header.offset + header.size
    if end != trailer.cut_offset + trailer.cut_size and not problems:
        problems.append(f"{first.name}: its parts do not hold all that was cut out of it")
    if problems:
        raise IntegrityError(
            "volume-missing",
            f"{first.name} cannot be read without all of its {trailer.volumes} parts",
            details="\n".join(problems),
            remedy=f"put the parts beside {first.name}, or name their folders with --volumes DIR",
        )
    extents.append(_Extent(first, trailer.cut_offset, end, trailer.file_size - end))
    return Volumes(trailer.file_size, tuple(extents))


def _find(first: Path, number: int, bundle: Digest, folders: Sequence[Path]) -> tuple[Path, VolumeHeader]:
    """The part of that number.

    Raises:
        UsageError: there is none, or none that is right.
    """
    name = volume_path(first, number).name
    places = dict.fromkeys((first.absolute().parent, *folders))
    exact = [place / name for place in places if (place / name).is_file()]
    others = [path for place in places for path in sorted(place.glob(f"*.{number:03}")) if path not in exact]
    problem = f"{name}: this part is missing"
    for path in (*exact, *others):
        header, size = _header(path)
        wrong = _wrong(header, size, bundle, number)
        if header is not None and wrong is None:
            return path, header
        if path in exact:
            problem = f"{path}: {wrong}"
    raise UsageError("volume-missing", problem)


def _wrong(header: VolumeHeader | None, size: int, bundle: Digest, number: int) -> str | None:
    """What is wrong with a part, if anything is."""
    if header is None:
        return "this is no part of a bundle, or its header is damaged"
    if header.bundle != bundle:
        return "this part belongs to another bundle"
    if header.number != number:
        return f"this is part {header.number}"
    if size != HEADER_SIZE + header.size:
        return f"this part has {size} bytes, {HEADER_SIZE + header.size} were written"
    return None


def _header(path: Path) -> tuple[VolumeHeader | None, int]:
    try:
        with path.open("rb") as file:
            return VolumeHeader.unpack(file.read(HEADER_SIZE)), os.fstat(file.fileno()).st_size
    except OSError as error:
        raise UsageError("volume-unreadable", f"{path}: {error.strerror}") from error
