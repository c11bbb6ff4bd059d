"""Writing and reading the bundle file. Memory use does not depend on its size.

A file is first an `UnverifiedBundle`; only `verify` with a keyring gives the `VerifiedBundle` that things can be taken
from. Contents are checked in the same pass that writes them out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import zstandard

from payload.digest import CHUNK, Digest, digest_bytes
from payload.errors import IntegrityError, UsageError
from payload.events import Advanced, Sink
from payload.format import STUB_SIZE, TRAILER_SIZE, Trailer
from payload.index import by_blob, decode_index, decode_signatures, gaps, member_name
from payload.model import Blob, Entry, Index, Section
from payload.trust import Keyring, PublicKey, Signature


@dataclass(frozen=True, slots=True)
class Damage:
    """A damaged range of the file: whose it is, where it starts, and what is wrong."""

    component: str
    path: str
    offset: int
    why: str


def open_bundle(path: Path) -> UnverifiedBundle:
    """Read trailer and index. Nothing of it is to be trusted yet.

    Raises:
        IntegrityError: the file is truncated, damaged, or no bundle.
        UsageError: there is no such file, or it cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError("bundle-unreadable", f"cannot read {path}: {error.strerror}") from error
    try:
        size = os.fstat(fd).st_size
        trailer = Trailer.unpack(os.pread(fd, TRAILER_SIZE, max(0, size - TRAILER_SIZE)), size)
        stored = os.pread(fd, trailer.index_size, trailer.index_offset)
        signatures = decode_signatures(os.pread(fd, trailer.signatures_size, trailer.signatures_offset))
        index = decode_index(stored, trailer)
    finally:
        os.close(fd)
    return UnverifiedBundle(path, trailer, stored, index, signatures)


class UnverifiedBundle:
    """A well-formed file of which nobody has said yet that it is genuine."""

    def __init__(
        self, path: Path, trailer: Trailer, stored: bytes, index: Index, signatures: tuple[Signature, ...]
    ) -> None:
        self.path = path
        self._trailer = trailer
        self._stored = stored
        self._index = index
        self._signatures = signatures

    @property
    def claimed(self) -> Index:
        """What the file says of itself: to show, never to act on."""
        return self._index

    @property
    def product(self) -> str:
        """The product's name as the file claims it: says where to look for keys, and nothing else."""
        return self._index.manifest.product.name

    def signers(self) -> tuple[str, ...]:
        """Fingerprints of the keys that claim to have signed."""
        return tuple(signature.key for signature in self._signatures)

    def embedded_keys(self) -> tuple[PublicKey, ...]:
        """The public keys inside. They prove nothing by themselves: compare their fingerprints with the vendor's."""
        return tuple(PublicKey.from_text(line, where=str(self.path)) for line in self._index.keys)

    def verify(self, keyring: Keyring) -> VerifiedBundle:
        """Check the signature, the stub, and that the gaps between the members are empty.

        Raises:
            TrustError: no key of the ring signed it.
            IntegrityError: the stub or a gap was changed.
        """
        signed_by = keyring.verify(self._stored, self._signatures)
        with self.path.open("rb") as file:
            if digest_bytes(os.pread(file.fileno(), STUB_SIZE, 0)) != self._index.stub.digest:
                raise _broken(self.path, "stub", "its start-up script was changed", 0)
            for offset, size in gaps(self._index, self._trailer):
                if any(os.pread(file.fileno(), size, offset)):
                    raise _broken(self.path, "padding", "bytes between the members are not zero", offset)
        return VerifiedBundle(self.path, self._index, digest_bytes(self._stored), signed_by)


class VerifiedBundle:
    """A bundle whose index is genuine. `digest` is its identity."""

    def __init__(self, path: Path, index: Index, digest: Digest, signed_by: PublicKey) -> None:
        self.path = path
        self.index = index
        self.digest = digest
        self.signed_by = signed_by

    def extract(self, folder: Path, *, sink: Sink, stage: str, select: Callable[[Entry], bool] | None = None) -> None:
        """Write the chosen entries under `folder`, checking each while it is written.

        Nothing is flushed: see `sync_filesystem`. Existing files are never replaced. What was written before an error
        stays: the caller owns `folder`.

        Raises:
            IntegrityError: a member is damaged; names component and file.
            OSError: the disk is full, a file exists already, …
        """
        chosen = by_blob(entry for entry in self.index.entries if select is None or select(entry))
        with self.path.open("rb") as file:
            for blob in self.index.blobs:
                if entries := chosen.get(blob.digest):
                    self._extract_member(file.fileno(), blob, entries, folder)
                    sink.emit(Advanced(stage, blob.stored_size))

    def read(self, path: str) -> bytes:
        """The content of one entry.

        Raises:
            UsageError: there is no such entry.
            IntegrityError: it is damaged.
        """
        entry = next((entry for entry in self.index.entries if entry.path == path), None)
        if entry is None:
            raise UsageError("entry-unknown", f"{path} is not in {self.path.name}", remedy="see --list")
        blob = next(blob for blob in self.index.blobs if blob.digest == entry.blob)
        with self.path.open("rb") as file:
            return b"".join(self._content(file.fileno(), blob))

    def unpack_runtime(self, folder: Path) -> None:
        """Unpack the frozen runtime into `folder`.

        Raises:
            IntegrityError: it is damaged.
        """
        runtime = self.index.runtime
        with self.path.open("rb") as file:
            if _section_digest(file.fileno(), runtime) != runtime.digest:
                raise _broken(self.path, "runtime", "its digest does not fit", runtime.offset)
            file.seek(runtime.offset)
            with tarfile.open(fileobj=file, mode="r|gz") as archive:
                archive.extractall(folder, members=_harmless(archive))  # noqa: S202 - its digest is signed

    def check(self, sink: Sink, *, stage: str = "check") -> tuple[Damage, ...]:
        """Read the whole file once, on all cores, and list every damaged file; some share a member."""
        files = by_blob(self.index.entries)
        with self.path.open("rb") as file, ThreadPoolExecutor(os.cpu_count()) as pool:
            fd = file.fileno()

            def inspect(blob: Blob) -> list[Damage]:
                section = Section(offset=blob.offset, size=blob.stored_size, digest=blob.stored_digest)
                found = _section_digest(fd, section)
                sink.emit(Advanced(stage, blob.stored_size))
                broken = files[blob.digest] if found != blob.stored_digest else ()
                return [Damage(entry.component, entry.path, blob.offset, "its digest does not fit") for entry in broken]

            found = [damage for damages in pool.map(inspect, self.index.blobs) for damage in damages]
            runtime = self.index.runtime
            if _section_digest(fd, runtime) != runtime.digest:
                found.insert(0, Damage("runtime", "runtime", runtime.offset, "its digest does not fit"))
        return tuple(found)

    def _extract_member(self, fd: int, blob: Blob, entries: list[Entry], folder: Path) -> None:
        first, *others = [(folder / entry.path, entry.mode) for entry in entries]
        _write_new(first[0], first[1], self._content(fd, blob))
        for path, mode in others:
            path.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(first[0], path)
            path.chmod(mode)

    def _content(self, fd: int, blob: Blob) -> Iterator[bytes]:
        """The member's content; raises after the last chunk if any of it was wrong."""
        stored, content, size = hashlib.sha256(), hashlib.sha256(), 0
        decoder = zstandard.ZstdDecompressor().decompressobj() if blob.codec == "zstd" else None
        for chunk in _ranged(fd, blob.offset, blob.stored_size):
            stored.update(chunk)
            try:
                plain = decoder.decompress(chunk) if decoder else chunk
            except zstandard.ZstdError as error:
                raise self._damaged(blob) from error
            size += len(plain)
            if size > blob.size:
                raise self._damaged(blob)
            if decoder:
                content.update(plain)
            yield plain
        content = content if decoder else stored
        if (f"sha256:{stored.hexdigest()}", f"sha256:{content.hexdigest()}") != (blob.stored_digest, blob.digest):
            raise self._damaged(blob)

    def _damaged(self, blob: Blob) -> IntegrityError:
        name = member_name(blob, self.index.entries)
        return _broken(self.path, name, "its content does not fit its digest", blob.offset)


def _harmless(archive: tarfile.TarFile) -> Iterator[tarfile.TarInfo]:
    """The members, with owners and special modes dropped. (tarfile's own `filter` came with Python 3.11.4.)"""
    for member in archive:
        escapes = Path(member.name).is_absolute() or ".." in Path(member.name).parts
        if escapes or not (member.isfile() or member.isdir() or member.issym()):
            raise IntegrityError("bundle-damaged", "the runtime holds something else than files", details=member.name)
        member.uid, member.gid, member.uname, member.gname = os.getuid(), os.getgid(), "", ""
        member.mode &= 0o755
        yield member


def _write_new(path: Path, mode: int, chunks: Iterator[bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(fd, "wb", buffering=0) as out:
        for chunk in chunks:
            out.write(chunk)
        os.fchmod(out.fileno(), mode)


def _ranged(fd: int, offset: int, size: int) -> Iterator[bytes]:
    end = offset + size
    while offset < end:
        chunk = os.pread(fd, min(CHUNK, end - offset), offset)
        if not chunk:
            raise IntegrityError("bundle-truncated", "the file ended while it was read", remedy="copy it again")
        offset += len(chunk)
        yield chunk


def _section_digest(fd: int, section: Section) -> Digest:
    total = hashlib.sha256()
    for chunk in _ranged(fd, section.offset, section.size):
        total.update(chunk)
    return f"sha256:{total.hexdigest()}"


def _broken(path: Path, name: str, why: str, offset: int) -> IntegrityError:
    return IntegrityError(
        "bundle-damaged",
        f"{path.name} is damaged",
        details=f"{name}: {why} (at byte {offset})",
        remedy="copy or download the file again; `--check` lists everything that is damaged",
    )
