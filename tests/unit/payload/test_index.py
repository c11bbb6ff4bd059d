"""An index that lies about its file is refused even when it is signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import zstandard

from payload.archive import open_bundle
from payload.digest import digest_bytes
from payload.errors import IntegrityError
from payload.format import TRAILER_SIZE, Trailer
from payload.index import decode_index, decode_signatures, encode_index, encode_signatures
from payload.model import Base, Blob, Borrowed, Chunk, Index, Source
from payload.signing import PrivateKey
from payload.trust import Keyring
from payload.version import Version
from tests.unit.payload.bundles import build, locked_rpm

KEY = PrivateKey.generate()
LEFT = locked_rpm("left", "2")


@pytest.fixture(scope="module")
def genuine(tmp_path_factory: pytest.TempPathFactory) -> tuple[Index, Trailer]:
    path = build(tmp_path_factory.mktemp("bundle"), KEY)
    content = path.read_bytes()
    trailer = Trailer.unpack(content[-TRAILER_SIZE:], len(content))
    return open_bundle(path).verify(Keyring(keys=(KEY.public,))).index, trailer


def _first(index: Index, **changes: Any) -> Index:
    blob = replace(index.blobs[0], **changes)
    return replace(index, blobs=(blob, *index.blobs[1:]))


def _chunk(index: Index, **changes: Any) -> Chunk:
    return replace(index.blobs[0].chunks[0], **changes)


def _entry(index: Index, **changes: Any) -> Index:
    entry = replace(index.entries[0], **changes)
    return replace(index, entries=(entry, *index.entries[1:]))


def _left(index: Index, **changes: Any) -> Index:
    """A file that an upgrade bundle for one host does not hold, and that is no package."""
    left = replace(Borrowed(digest=LEFT.digest, size=1, header="3" * 64), **changes)
    base = Base(version=Version("1"), release="sha256:" + "4" * 64)
    entry = replace(index.entries[0], path="repository/Packages/left.rpm", blob=left.digest)
    return replace(index, bases=(base,), borrowed=(left,), entries=(*index.entries, entry))


def _locked(index: Index) -> Index:
    """The same, with what `_left` leaves out in the lock."""
    return replace(index, lock_table=index.lock.model_copy(update={"rpms": (LEFT,)}).to_table())


LIES: dict[str, Callable[[Index], Index]] = {
    "overlap": lambda i: _first(i, stored_size=i.blobs[0].stored_size + 100_000),
    "shifted": lambda i: _first(i, offset=i.blobs[0].offset + 4096),
    "unaligned": lambda i: _first(i, offset=i.blobs[0].offset + 1),
    "raw with two sizes": lambda i: _first(i, codec="raw", size=1),
    "chunk larger than its content": lambda i: _first(i, chunks=(_chunk(i, size=10 << 20),), stored_size=10 << 20),
    "chunk missing": lambda i: _first(i, chunks=()),
    "chunk too many": lambda i: _first(i, chunks=(*i.blobs[0].chunks, _chunk(i))),
    "content without end": lambda i: _first(i, size=1 << 62),
    "texts elsewhere": lambda i: replace(i, info=i.help),
    "huge": lambda i: _first(i, stored_size=1 << 62),
    "twice": lambda i: replace(i, blobs=(*i.blobs, i.blobs[0])),
    "no blobs": lambda i: replace(i, blobs=()),
    "unused": lambda i: replace(i, entries=i.entries[1:]),
    "unknown blob": lambda i: _entry(i, blob="sha256:" + "1" * 64),
    "path twice": lambda i: replace(i, entries=(*i.entries, i.entries[0])),
    "file and folder": lambda i: _entry(i, path="tools"),
    "absolute": lambda i: _entry(i, path="/etc/passwd"),
    "dots": lambda i: _entry(i, path="a/../../etc/passwd"),
    "empty part": lambda i: _entry(i, path="a//b"),
    "nul": lambda i: _entry(i, path="a\0b"),
    "escape sequence": lambda i: _entry(i, path="a\x1b[2J"),
    "new line": lambda i: _entry(i, path="a\nb"),
    "setuid": lambda i: _entry(i, mode=0o4755),
    "runtime elsewhere": lambda i: replace(i, runtime=replace(i.runtime, offset=0)),
    "left to the host, no package": _left,
    "left to the host, with a source": lambda i: _left(_locked(i), sources=(Source(path="x"),)),
    "other format": lambda i: replace(i, format=2),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_index_is_refused(genuine: tuple[Index, Trailer], lie: str) -> None:
    index, trailer = genuine
    stored = encode_index(LIES[lie](index))
    fitting = replace(trailer, index_size=len(stored), index_digest=digest_bytes(stored))
    with pytest.raises(IntegrityError, match="index"):
        decode_index(stored, fitting)


def test_a_true_index_survives_the_round_trip(genuine: tuple[Index, Trailer]) -> None:
    index, trailer = genuine
    stored = encode_index(index)
    fitting = replace(trailer, index_size=len(stored), index_digest=digest_bytes(stored))
    assert decode_index(stored, fitting) == index


def test_a_package_may_be_left_to_the_host(genuine: tuple[Index, Trailer]) -> None:
    index, trailer = genuine
    stored = encode_index(_left(_locked(index)))
    fitting = replace(trailer, index_size=len(stored), index_digest=digest_bytes(stored))
    assert set(decode_index(stored, fitting).left_to_host) == {LEFT.digest}


def test_members_have_a_frozen_shape(genuine: tuple[Index, Trailer]) -> None:
    assert {field.name for field in fields(Blob)} == {"digest", "size", "codec", "offset", "stored_size", "chunks"}


def test_only_canonical_signatures_are_read() -> None:
    stored = encode_signatures([KEY.sign(b"x")])
    assert len(decode_signatures(stored)) == 1
    for other in (stored + b" ", stored.replace(b":", b": ", 1), b"", b"[", b"{}", b"[1]"):
        with pytest.raises(IntegrityError):
            decode_signatures(other)


def test_a_decompression_bomb_is_refused(genuine: tuple[Index, Trailer]) -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(300 << 20))
    trailer = replace(genuine[1], index_size=len(bomb), index_digest=digest_bytes(bomb))
    with pytest.raises(IntegrityError, match="bytes long"):
        decode_index(bomb, trailer)


def test_bundles_are_small_here(tmp_path: Path) -> None:
    assert build(tmp_path, KEY).stat().st_size < 100_000
