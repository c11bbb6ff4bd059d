"""Writing a bundle: stub, runtime, members as they come, then index, signature and trailer."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType

import zstandard

from payload.digest import CHUNK, Digest, digest_bytes
from payload.effects import fsync_dir
from payload.errors import UsageError
from payload.format import STUB_SIZE, TRAILER_SIZE, Trailer, aligned
from payload.index import encode_index, encode_signatures
from payload.model import OLDEST_GLIBC, Blob, Entry, Index, Lock, Manifest, Section
from payload.trust import PublicKey, Signature

_COMPRESSED = (".rpm", ".whl", ".qcow2", ".zst", ".gz", ".xz", ".bz2", ".zip")
"""Suffixes of files that are compressed already: stored raw, so that a filesystem can clone them."""
_LEVEL = 9


class BundleWriter:
    """Writes `PATH.partial`; `finish` renames it to `path`. Left without `finish`, nothing stays.

    `stub` renders the start-up script when runtime offset, size and digest are known; `runtime` is a .tar.gz.
    Same calls in the same order give the same bytes.
    """

    def __init__(self, path: Path, *, stub: Callable[[Section], bytes], runtime: Path) -> None:
        self._path = path
        self._partial = path.with_name(path.name + ".partial")
        self._stub = stub
        self._runtime = runtime
        self._blobs: dict[Digest, Blob] = {}
        self._entries: list[Entry] = []

    def __enter__(self) -> BundleWriter:
        self._out = self._partial.open("wb+")
        self._out.seek(STUB_SIZE)
        self._runtime_section = self._append(self._runtime)
        stub = self._stub(self._runtime_section)
        if len(stub) > STUB_SIZE:
            raise UsageError("stub-too-long", f"the stub has {len(stub)} bytes, {STUB_SIZE} is the most")
        padded = stub.ljust(STUB_SIZE, b"\n")
        self._out.seek(0)
        self._out.write(padded)
        self._stub_section = Section(offset=0, size=STUB_SIZE, digest=digest_bytes(padded))
        self._end = self._runtime_section.offset + self._runtime_section.size
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._out.close()
        self._partial.unlink(missing_ok=True)

    def add(self, source: Path | bytes, *, path: str, component: str, mode: int = 0o644) -> None:
        """Add a file. Content that is there already is not stored again."""
        offset = aligned(self._end)
        self._out.seek(offset)
        blob = self._store(source, offset, compress=not path.endswith(_COMPRESSED))
        if blob.digest in self._blobs:
            # Else its end would lie in the gap behind a shorter member that comes next.
            self._out.truncate(self._end)
        else:
            self._blobs[blob.digest] = blob
            self._end = offset + blob.stored_size
        self._entries.append(Entry(component=component, path=path, mode=mode, blob=blob.digest))

    def finish(
        self,
        *,
        manifest: Manifest,
        lock: Lock,
        created: int,
        libc: str = OLDEST_GLIBC,
        keys: tuple[PublicKey, ...],
        sign: Callable[[bytes], Signature],
    ) -> Index:
        """Write index, signature and trailer, make all durable and give the file its name (mode 0755)."""
        index = Index(
            created=created,
            keys=tuple(key.to_text().strip() for key in keys),
            manifest=manifest,
            lock=lock,
            stub=self._stub_section,
            runtime=self._runtime_section,
            libc=libc,
            blobs=tuple(self._blobs.values()),
            entries=tuple(self._entries),
        )
        stored = encode_index(index)
        signatures = encode_signatures([sign(stored)])
        offset = aligned(self._end)
        self._out.truncate(offset)
        self._out.seek(offset)
        self._out.write(stored + signatures)
        trailer = Trailer(
            index_offset=offset,
            index_size=len(stored),
            signatures_offset=offset + len(stored),
            signatures_size=len(signatures),
            file_size=offset + len(stored) + len(signatures) + TRAILER_SIZE,
            index_sha256=hashlib.sha256(stored).digest(),
        )
        self._out.write(trailer.pack())
        self._publish()
        return index

    def _publish(self) -> None:
        self._out.flush()
        os.fchmod(self._out.fileno(), 0o755)
        os.fsync(self._out.fileno())
        self._partial.rename(self._path)
        fsync_dir(self._path.parent)

    def _append(self, source: Path) -> Section:
        start = self._out.tell()
        total = hashlib.sha256()
        for chunk in _chunks(source):
            total.update(chunk)
            self._out.write(chunk)
        return Section(offset=start, size=self._out.tell() - start, digest=f"sha256:{total.hexdigest()}")

    def _store(self, source: Path | bytes, offset: int, *, compress: bool) -> Blob:
        content, stored, size = hashlib.sha256(), hashlib.sha256(), 0
        codec = zstandard.ZstdCompressor(level=_LEVEL).compressobj() if compress else None

        def put(chunk: bytes) -> None:
            stored.update(chunk)
            self._out.write(chunk)

        for chunk in _chunks(source):
            size += len(chunk)
            content.update(chunk)
            put(codec.compress(chunk) if codec else chunk)
        if codec:
            put(codec.flush())
        return Blob(
            digest=f"sha256:{content.hexdigest()}",
            size=size,
            codec="zstd" if compress else "raw",
            offset=offset,
            stored_size=self._out.tell() - offset,
            stored_digest=f"sha256:{stored.hexdigest()}",
        )


def _chunks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk
