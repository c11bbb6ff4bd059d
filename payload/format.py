"""The fixed parts of the bundle file: where things lie, and the trailer that finds the rest.

    stub | runtime | members, each at a multiple of 4096 | index | signatures | trailer (128 bytes)

`docs/bundle-format.md` is the full description. All numbers are little-endian. Gaps are zero bytes; every byte of the
file is covered by a digest, a signature or a rule, so that no change goes unseen.
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from payload.errors import IntegrityError
from payload.model import FORMAT_VERSION

ALIGNMENT = 4096
STUB_SIZE = 32768
"""The stub is padded with newlines to this size, so that its own text can name the runtime's offset."""

MAX_INDEX_SIZE = 64 << 20
MAX_INDEX_CONTENT = 256 << 20
MAX_SIGNATURES_SIZE = 64 << 10

_MAGIC = b"SEALIFT\x01"
_FIELDS = struct.Struct("<8sHHIQQQQQ32s")
_CHECK = 32
TRAILER_SIZE = 128
_PADDING = TRAILER_SIZE - _FIELDS.size - _CHECK


@dataclass(frozen=True, slots=True)
class Trailer:
    """Where index and signatures lie, how long the file is, and the SHA-256 of the stored index."""

    index_offset: int
    index_size: int
    signatures_offset: int
    signatures_size: int
    file_size: int
    index_sha256: bytes

    def pack(self) -> bytes:
        """The 128 bytes at the end of the file."""
        fields = _FIELDS.pack(
            _MAGIC,
            FORMAT_VERSION,
            TRAILER_SIZE,
            0,
            self.index_offset,
            self.index_size,
            self.signatures_offset,
            self.signatures_size,
            self.file_size,
            self.index_sha256,
        )
        return fields + bytes(_PADDING) + hashlib.sha256(fields).digest()

    @classmethod
    def unpack(cls, raw: bytes, file_size: int) -> Trailer:
        """Read and check the last bytes of a file of `file_size` bytes.

        Raises:
            IntegrityError: they are not a trailer, or it does not fit the file.
        """
        if len(raw) != TRAILER_SIZE or raw[:8] != _MAGIC:
            raise IntegrityError(
                "bundle-truncated",
                "the file does not end as a bundle does",
                details="trailer: the last 128 bytes are missing or damaged; the file is truncated or not a bundle",
                remedy="copy or download it again and compare its size with the original",
            )
        fields, padding, check = raw[: _FIELDS.size], raw[_FIELDS.size : -_CHECK], raw[-_CHECK:]
        if hashlib.sha256(fields).digest() != check or any(padding):
            raise _damaged("its checksum does not fit")
        _, version, size, flags, index_at, index_size, signed_at, signed_size, total, index_sha256 = _FIELDS.unpack(
            fields
        )
        if version != FORMAT_VERSION:
            raise IntegrityError(
                "bundle-version",
                f"this bundle has format {version}; this program reads format {FORMAT_VERSION}",
                remedy="use the program that came with the bundle: run the bundle itself",
            )
        trailer = cls(index_at, index_size, signed_at, signed_size, total, index_sha256)
        if size != TRAILER_SIZE or flags != 0:
            raise _damaged("unknown flags")
        trailer._check_layout(file_size)
        return trailer

    def _check_layout(self, file_size: int) -> None:
        if self.file_size != file_size:
            raise IntegrityError(
                "bundle-truncated",
                f"the file has {file_size} bytes, its trailer says {self.file_size}",
                details="trailer: bytes are missing or were added",
                remedy="copy or download it again",
            )
        if not 0 < self.index_size <= MAX_INDEX_SIZE or not 0 < self.signatures_size <= MAX_SIGNATURES_SIZE:
            raise _damaged("index or signatures have an impossible size")
        if (
            self.index_offset < STUB_SIZE
            or self.signatures_offset != self.index_offset + self.index_size
            or self.signatures_offset + self.signatures_size + TRAILER_SIZE != file_size
        ):
            raise _damaged("index and signatures do not lie where they must")


def aligned(offset: int) -> int:
    """The next multiple of `ALIGNMENT` that is not below `offset`."""
    return -(-offset // ALIGNMENT) * ALIGNMENT


def _damaged(why: str) -> IntegrityError:
    return IntegrityError("bundle-damaged", "the bundle's trailer is damaged", details=f"trailer: {why}")
