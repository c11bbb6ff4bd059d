"""Writing a bundle: stub, runtime, members as they come, then texts, index, signature and trailer."""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from io import FileIO
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import Literal

import zstandard

from payload.digest import CHUNK, Digest, digest_bytes
from payload.effects import fsync_dir
from payload.errors import UsageError
from payload.format import CHUNK_SIZE, STUB_SIZE, TRAILER_SIZE, Trailer, aligned
from payload.index import encode_index, encode_signatures
from payload.lock import Lock
from payload.manifest import Manifest
from payload.model import OLDEST_GLIBC, Base, Blob, Borrowed, Chunk, Entry, Index, Section
from payload.signing import PrivateKey
from payload.statement import statement_of
from payload.texts import info_text, listing_text
from payload.trust import Keyring

_COMPRESSED = (".rpm", ".whl", ".qcow2", ".zst", ".gz", ".xz", ".bz2", ".zip")
"""Suffixes of files that are compressed already: stored raw, so that a filesystem can clone them."""
_LEVEL = 4
"""As fast as tar and zstd -3 are together, and not larger. Each level more costs more time than it saves bytes."""
_WORTH_IT = 0.95
"""A file whose first piece does not become smaller than this part of it is stored raw."""
_WORKERS = min(4, os.cpu_count() or 1)
_AHEAD = _WORKERS + 2
"""Pieces that may be packed or wait to be written: bounds the memory."""

_Codec = Literal["raw", "zstd"]


@dataclass(frozen=True, slots=True)
class _Packed:
    """A piece as it will lie in the file."""

    codec: _Codec
    stored: bytes
    digest: Digest


class BundleWriter:
    """Writes `PATH.partial`; `finish` renames it to `path`. Left without `finish`, nothing stays.

    `stub` renders the start-up script when runtime offset, size and digest are known; `runtime` is a .tar.gz.
    Same calls in the same order give the same bytes, whatever the number of cores.
    """

    def __init__(self, path: Path, *, stub: Callable[[Section], bytes], runtime: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._stub = stub
        self._runtime = runtime
        self._known: set[Digest] = set()
        self._blobs: list[Blob] = []
        self._entries: list[Entry] = []
        self._borrowed: dict[Digest, Borrowed] = {}
        self._small: deque[tuple[Digest, int, Future[_Packed]]] = deque()

    def __enter__(self) -> BundleWriter:
        self._pool = ThreadPoolExecutor(_WORKERS)
        self._out = self._partial.open("wb+")
        self._out.seek(STUB_SIZE)
        self._runtime_section = self._append(_chunks(self._runtime, CHUNK))
        stub = self._stub(self._runtime_section)
        if len(stub) > STUB_SIZE:
            raise UsageError("stub-too-long", f"the stub has {len(stub)} bytes, {STUB_SIZE} is the most")
        padded = stub.ljust(STUB_SIZE, b"\n")
        self._out.seek(0)
        self._stub_section = self._append([padded])
        self._end = self._runtime_section.offset + self._runtime_section.size
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._pool.shutdown(cancel_futures=True)
        self._out.close()
        self._partial.unlink(missing_ok=True)

    def add(self, source: Path | bytes, *, path: str, component: str, mode: int = 0o644) -> None:
        """Add a file. Content that is there already is not stored again."""
        wanted: _Codec = "raw" if path.endswith(_COMPRESSED) else "zstd"
        pieces = _chunks(source, CHUNK_SIZE)
        first, second = next(pieces, b""), next(pieces, None)
        digest = self._add_large(chain((first, second), pieces), wanted) if second else self._add_small(first, wanted)
        self._entries.append(Entry(component=component, path=path, mode=mode, blob=digest))

    def borrow(self, content: Borrowed, *, path: str, component: str, mode: int = 0o644) -> None:
        """Add a file whose content is not stored: see `Borrowed`. Patches for it were added before."""
        self._borrowed[content.digest] = content
        self._entries.append(Entry(component=component, path=path, mode=mode, blob=content.digest))

    def add_patch(self, source: Path) -> Digest:
        """Add a patch and say its digest: see `borrow`."""
        pieces = _chunks(source, CHUNK_SIZE)
        first, second = next(pieces, b""), next(pieces, None)
        return self._add_large(chain((first, second), pieces), "raw") if second else self._add_small(first, "raw")

    def finish(
        self,
        *,
        manifest: Manifest,
        lock: Lock,
        created: int,
        libc: str = OLDEST_GLIBC,
        keyring: Keyring,
        signers: Sequence[PrivateKey],
        help: str,
        bases: tuple[Base, ...] = (),
    ) -> Index:
        """Write texts, index, signatures and trailer, make all durable and give the file its name (mode 0755).

        `help` is what `--help` prints; `payload.texts.PROGRAM` in it stands for the file's name.
        """
        self._write_small(0)
        self._end = aligned(self._end)
        self._out.truncate(self._end)
        self._out.seek(self._end)
        borrowed = tuple(self._borrowed.values())
        left = sum(each.header is not None for each in borrowed)
        info = info_text(manifest, created=created, keys=keyring.keys, bases=bases, left_to_host=left)
        texts = (help, info, listing_text(self._entries, self._blobs, borrowed))
        sections = [self._append([text.encode()]) for text in texts]
        index = Index(
            created=created,
            keyring=keyring,
            manifest_table=manifest.to_table(),
            lock_table=lock.to_table(),
            stub=self._stub_section,
            runtime=self._runtime_section,
            libc=libc,
            help=sections[0],
            info=sections[1],
            listing=sections[2],
            blobs=tuple(self._blobs),
            entries=tuple(self._entries),
            bases=bases,
            borrowed=borrowed,
        )
        stored = encode_index(index)
        message = statement_of(index, stored).message()
        signatures = encode_signatures(key.sign(message) for key in signers)
        offset = self._out.tell()
        trailer = Trailer(
            file_size=offset + len(stored) + len(signatures) + TRAILER_SIZE,
            help_offset=sections[0].offset,
            info_offset=sections[1].offset,
            listing_offset=sections[2].offset,
            index_offset=offset,
            index_size=len(stored),
            signatures_size=len(signatures),
            index_digest=digest_bytes(stored),
        )
        self._out.write(stored + signatures + trailer.pack())
        self._publish()
        return index

    def _publish(self) -> None:
        self._out.flush()
        os.fchmod(self._out.fileno(), 0o755)
        os.fsync(self._out.fileno())
        self._partial.rename(self._path)
        fsync_dir(self._path.parent)

    def _append(self, content: Iterable[bytes]) -> Section:
        start = self._out.tell()
        total = hashlib.sha256()
        for chunk in content:
            total.update(chunk)
            self._out.write(chunk)
        return Section(offset=start, size=self._out.tell() - start, digest=f"sha256:{total.hexdigest()}")

    def _add_small(self, content: bytes, wanted: _Codec) -> Digest:
        """A file of one piece is packed while others are read."""
        digest = digest_bytes(content)
        if digest not in self._known:
            self._known.add(digest)
            self._small.append((digest, len(content), self._pool.submit(_pack, content, wanted, digest=digest)))
            self._write_small(_AHEAD)
        return digest

    def _write_small(self, left: int) -> None:
        """Write what waits, in its order, until no more than `left` are waiting."""
        while len(self._small) > left:
            digest, size, future = self._small.popleft()
            packed = future.result()
            self._blobs.append(self._member(digest, size, packed.codec, [packed] if size else []))

    def _add_large(self, pieces: Iterator[bytes], wanted: _Codec) -> Digest:
        """The pieces of a file are packed side by side and written as they come; its digest is known at the end."""
        self._write_small(0)
        first = next(pieces)
        start = self._pool.submit(_pack, first, wanted)
        content, size, before = hashlib.sha256(first), len(first), self._end
        codec: _Codec = "raw" if wanted == "raw" else start.result().codec
        waiting: deque[Future[_Packed]] = deque((start,))

        def packed() -> Iterator[_Packed]:
            nonlocal size
            for piece in pieces:
                waiting.append(self._pool.submit(_pack, piece, codec, 0))
                size += len(piece)
                content.update(piece)
                if len(waiting) >= _AHEAD:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

        blob = self._member("sha256:" + "0" * 64, 0, codec, packed())
        digest = f"sha256:{content.hexdigest()}"
        if digest in self._known:
            # Else its end would lie in the gap behind a shorter member that comes next.
            self._out.truncate(before)
            self._end = before
        else:
            self._known.add(digest)
            self._blobs.append(replace(blob, digest=digest, size=size))
        return digest

    def _member(self, digest: Digest, size: int, codec: _Codec, pieces: Iterable[_Packed]) -> Blob:
        offset = aligned(self._end)
        self._out.seek(offset)
        chunks = []
        for packed in pieces:
            self._out.write(packed.stored)
            chunks.append(Chunk(size=len(packed.stored), digest=packed.digest))
        self._end = self._out.tell()
        return Blob(
            digest=digest,
            size=size,
            codec=codec,
            offset=offset,
            stored_size=self._end - offset,
            chunks=tuple(chunks),
        )


def _pack(piece: bytes, wanted: _Codec, worth_it: float = _WORTH_IT, *, digest: Digest | None = None) -> _Packed:
    """Compress and digest a piece; it stays raw when compressing does not reach `worth_it` (0: whatever it reaches).

    `digest` is that of the piece, where it is known.
    """
    if wanted == "zstd":
        stored = zstandard.ZstdCompressor(level=_LEVEL).compress(piece)
        if not worth_it or len(stored) < worth_it * len(piece):
            return _Packed("zstd", stored, digest_bytes(stored))
    return _Packed("raw", piece, digest or digest_bytes(piece))


def _chunks(source: Path | bytes, size: int) -> Iterator[bytes]:
    """Pieces of `size` bytes, the last one shorter."""
    if isinstance(source, bytes):
        yield from (source[start : start + size] for start in range(0, len(source), size))
        return
    with source.open("rb", buffering=0) as stream:
        while piece := _read(stream, size):
            yield piece


def _read(stream: FileIO, size: int) -> bytes:
    """`size` bytes, or what is left of a file: in one call, if the system gives them so."""
    piece = stream.read(size)
    while len(piece) < size and (more := stream.read(size - len(piece))):
        piece += more
    return piece
