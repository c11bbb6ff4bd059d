"""Bundles as an attacker, or a bad disk, makes them: some bytes of a good one changed."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from payload.archive import open_bundle
from payload.digest import digest_bytes
from payload.format import TRAILER_SIZE, Trailer
from payload.index import decode_index, encode_index, encode_signatures, gaps
from payload.model import Index
from payload.signing import PrivateKey
from payload.statement import statement_of
from tests.lab import Host

_CHANGE = """
import base64, json, os, shutil, sys
source, target, cut, flips, tail = json.load(sys.stdin)
shutil.copyfile(source, target)
with open(target, "r+b") as file:
    for offset in flips:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 4]))
    size = file.seek(0, os.SEEK_END)
    file.truncate(size if cut is None else cut)
    file.seek(0, os.SEEK_END)
    file.write(base64.b64decode(tail))
"""


@dataclass(frozen=True, slots=True)
class Change:
    """Flip a bit of the bytes at `flips`, cut the file off at `cut`, then put `tail` behind what is left."""

    flips: tuple[int, ...] = ()
    cut: int | None = None
    tail: bytes = b""

    def make(self, host: Host, source: str, target: str) -> None:
        """Write the changed copy of `source` in the host."""
        order = (source, target, self.cut, self.flips, b64encode(self.tail).decode())
        host.run(["python3", "-I", "-c", _CHANGE], input=json.dumps(order))


@dataclass(frozen=True, slots=True)
class Anatomy:
    """Where the parts of a bundle lie."""

    path: Path
    trailer: Trailer
    index: Index

    @classmethod
    def of(cls, path: Path) -> Anatomy:
        """Of the bundle at `path`."""
        size = path.stat().st_size
        with path.open("rb") as file:
            file.seek(size - TRAILER_SIZE)
            trailer = Trailer.unpack(file.read(), size)
        return cls(path, trailer, open_bundle(path).claimed)

    def inside(self, start: str) -> tuple[int, str]:
        """A byte in the middle of the first member whose path starts with `start`, and that path."""
        entry = next(entry for entry in self.index.entries if entry.path.startswith(start))
        blob = next(blob for blob in self.index.blobs if blob.digest == entry.blob)
        return blob.offset + blob.stored_size // 2, entry.path

    def gap(self) -> int:
        """A byte of the padding between two members."""
        offset, size = gaps(self.index)[-1]
        return offset + size // 2

    def signed_by(
        self, key: PrivateKey, *, claim: str | None = None, edit: Callable[[Index], Index] = lambda index: index
    ) -> Change:
        """The same members under an index that `edit` changed and `key` signed; `claim`: by the key that it names."""
        index = edit(self.index)
        stored = encode_index(index)
        signature = key.sign(statement_of(index, stored).message())
        signatures = encode_signatures([replace(signature, key=claim or signature.key)])
        at = self.trailer.index_offset
        trailer = replace(
            self.trailer,
            index_size=len(stored),
            signatures_size=len(signatures),
            file_size=at + len(stored) + len(signatures) + TRAILER_SIZE,
            index_digest=digest_bytes(stored),
        )
        decode_index(stored, trailer)  # a forgery that is refused for being malformed would show nothing
        return Change(cut=at, tail=stored + signatures + trailer.pack())
