"""The fixed parts of the bundle file: where things lie, and the trailer that finds the rest.

    stub | runtime | members, each at a multiple of 4096 | texts | index | signatures | trailer

`docs/bundle-format.md` is the full description. Gaps are zero bytes; every byte of the file is covered by a digest, a
signature or a rule, so that no change goes unseen. Offsets are those of the whole file, also when its members were cut
out of it into volumes (`payload.volumes`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from payload.digest import Digest, digest_bytes
from payload.errors import IntegrityError
from payload.model import FORMAT_VERSION

ALIGNMENT = 4096
STUB_SIZE = 32768
"""The stub is padded with newlines to this size, so that its own text can name the runtime's offset."""
CHUNK_SIZE = 8 << 20
"""Members are checked, compressed and written in pieces of so much content."""

MAX_INDEX_SIZE = 64 << 20
MAX_INDEX_CONTENT = 256 << 20
MAX_SIGNATURES_SIZE = 64 << 10
MAX_VOLUMES = 999
MIN_VOLUME_SIZE = 1 << 20

_WIDTH = 16
_LINES = {
    "file": ("file_size",),
    "volumes": ("volumes", "cut_offset", "cut_size"),
    "texts": ("help_offset", "info_offset", "listing_offset"),
    "index": ("index_offset", "index_size"),
    "signatures": ("signatures_size",),
}
_FIRST = f"SEALIFT bundle {FORMAT_VERSION}\n"
_SHAPE = re.compile(
    re.escape(_FIRST)
    + "".join(f"{word}{f' ([ 0-9]{{{_WIDTH}}})' * len(names)}\n" for word, names in _LINES.items())
    + r"digest (sha256:[0-9a-f]{64})\ncheck (sha256:[0-9a-f]{64})\n"
)
TRAILER_SIZE = len(_FIRST) + sum(len(word) + 1 + (1 + _WIDTH) * len(names) for word, names in _LINES.items()) + 79 + 78


@dataclass(frozen=True, slots=True)
class Trailer:
    """Where everything lies, as lines of text that a shell can read, and the digest of the stored index.

    `volumes` parts hold the `cut_size` bytes from `cut_offset` on; all three are 0 when the file is whole.
    """

    file_size: int
    help_offset: int
    info_offset: int
    listing_offset: int
    index_offset: int
    index_size: int
    signatures_size: int
    index_digest: Digest
    volumes: int = 0
    cut_offset: int = 0
    cut_size: int = 0

    @property
    def signatures_offset(self) -> int:
        """They follow the index."""
        return self.index_offset + self.index_size

    def pack(self) -> bytes:
        """The last `TRAILER_SIZE` bytes of the file."""
        rows = (word + "".join(f" {getattr(self, name):>{_WIDTH}}" for name in names) for word, names in _LINES.items())
        text = _FIRST + "".join(f"{row}\n" for row in rows) + f"digest {self.index_digest}\n"
        return f"{text}check {digest_bytes(text.encode())}\n".encode()

    @classmethod
    def unpack(cls, raw: bytes, size: int) -> Trailer:
        """Read and check the last bytes of a file of `size` bytes.

        Raises:
            IntegrityError: they are not a trailer, or it does not fit the file.
        """
        text = raw.decode("ascii", errors="replace")
        if len(raw) == TRAILER_SIZE and (other := re.match(r"SEALIFT bundle ([0-9]{1,6})\n", text)):
            _check_version(other[1])
        found = _SHAPE.fullmatch(text)
        if found is None:
            raise IntegrityError(
                "bundle-truncated",
                "the file does not end as a bundle does",
                details="trailer: the last bytes are missing or damaged; the file is truncated or not a bundle",
                remedy="copy or download it again and compare its size with the original",
            )
        names = [name for row in _LINES.values() for name in row]
        numbers = found.groups()[: len(names)]
        if not all(number.strip().isdecimal() for number in numbers):
            raise _damaged("a number is missing")
        values = dict(zip(names, map(int, numbers), strict=True))
        trailer = cls(index_digest=found.groups()[-2], **values)
        if trailer.pack() != raw:
            raise _damaged("its checksum does not fit")
        trailer._check_layout(size)
        return trailer

    def physical(self, offset: int) -> int:
        """Where in the first file a byte lies that was not cut out."""
        return offset if offset < self.cut_offset + self.cut_size else offset - self.cut_size

    def _check_layout(self, size: int) -> None:
        if self.file_size - self.cut_size != size:
            raise IntegrityError(
                "bundle-truncated",
                f"the file has {size} bytes, its trailer says {self.file_size - self.cut_size}",
                details="trailer: bytes are missing or were added",
                remedy="copy or download it again",
            )
        if not 0 < self.index_size <= MAX_INDEX_SIZE or not 0 < self.signatures_size <= MAX_SIGNATURES_SIZE:
            raise _damaged("index or signatures have an impossible size")
        parts = (STUB_SIZE, self.help_offset, self.info_offset, self.listing_offset, self.index_offset)
        if any(one > other for one, other in pairwise(parts)) or (
            self.signatures_offset + self.signatures_size + TRAILER_SIZE != self.file_size
        ):
            raise _damaged("texts, index and signatures do not lie where they must")
        cut = (self.volumes, self.cut_offset, self.cut_size)
        if any(cut) and not (
            0 < self.volumes <= MAX_VOLUMES
            and self.cut_offset >= STUB_SIZE
            and self.cut_size >= self.volumes
            and self.cut_offset + self.cut_size <= self.help_offset
            and aligned(self.cut_offset) == self.cut_offset
        ):
            raise _damaged("what was cut out into volumes does not lie where it must")


def aligned(offset: int) -> int:
    """The next multiple of `ALIGNMENT` that is not below `offset`."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _check_version(version: str) -> None:
    if version != str(FORMAT_VERSION):
        raise IntegrityError(
            "bundle-version",
            f"this bundle has format {version}; this program reads format {FORMAT_VERSION}",
            remedy="use the program that came with the bundle: run the bundle itself",
        )


def _damaged(why: str) -> IntegrityError:
    return IntegrityError("bundle-damaged", "the bundle's trailer is damaged", details=f"trailer: {why}")
