"""Reading the bundle file. Memory use does not depend on its size.

A file is first an `UnverifiedBundle`; only `verify` with a keyring gives the `VerifiedBundle` that things can be taken
from. Contents are checked in the same pass that writes them out.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from payload.digest import Digest, digest_bytes
from payload.errors import IntegrityError, TrustError, UsageError
from payload.events import Advanced, Sink
from payload.format import TRAILER_SIZE, Trailer
from payload.index import by_blob, decode_index, decode_signatures, gaps, release_digest
from payload.members import Damage, Extraction, Wanted, content, intact, pieces_of
from payload.model import Blob, Entry, Index, Section
from payload.statement import Statement, statement_of
from payload.trust import Accepted, Keyring, Signature, accept
from payload.volumes import OpenVolumes, Volumes, find_volumes


def open_bundle(path: Path, folders: Sequence[Path] = ()) -> UnverifiedBundle:
    """Read trailer and index; parts of a split bundle lie beside it or in `folders`. Nothing is to be trusted yet.

    Raises:
        IntegrityError: the file is truncated, damaged, or no bundle, or parts are missing.
        UsageError: there is no such file, or it cannot be read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UsageError("bundle-unreadable", f"cannot read {path}: {error.strerror}") from error
    try:
        size = os.fstat(fd).st_size
        trailer = Trailer.unpack(os.pread(fd, TRAILER_SIZE, max(0, size - TRAILER_SIZE)), size)
        stored = os.pread(fd, trailer.index_size, trailer.physical(trailer.index_offset))
        signatures = decode_signatures(
            os.pread(fd, trailer.signatures_size, trailer.physical(trailer.signatures_offset))
        )
        index = decode_index(stored, trailer)
    except OSError as error:
        raise UsageError("bundle-unreadable", f"cannot read {path}: {error.strerror}") from error
    finally:
        os.close(fd)
    return UnverifiedBundle(
        path, find_volumes(path, trailer, folders), stored, index, trailer=trailer, signatures=signatures
    )


class UnverifiedBundle:
    """A well-formed file of which nobody has said yet that it is genuine."""

    def __init__(
        self,
        path: Path,
        volumes: Volumes,
        stored: bytes,
        index: Index,
        *,
        trailer: Trailer,
        signatures: tuple[Signature, ...],
    ) -> None:
        self.path = path
        self.trailer = trailer
        self._volumes = volumes
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

    @property
    def statement(self) -> Statement:
        """What signatures of this file are made over."""
        return statement_of(self._index, self._stored)

    @property
    def digest(self) -> Digest:
        """Of the stored index: which bundle it claims to be."""
        return digest_bytes(self._stored)

    @property
    def signatures(self) -> tuple[Signature, ...]:
        """As they are in the file, unverified."""
        return self._signatures

    def verify(self, keyring: Keyring) -> VerifiedBundle:
        """Check the signatures, the stub, the texts, and that the gaps between the members are empty.

        Raises:
            TrustError: see `payload.trust.accept`.
            IntegrityError: one of these was changed.
        """
        return self._genuine(accept(keyring, self._index.keyring, self.statement.message(), self._signatures))

    def known(self, index: Digest) -> VerifiedBundle:
        """The same for who knows the file by its index, having written or verified it before: signatures do not matter.

        Raises:
            TrustError: it is another file.
            IntegrityError: the stub, a text or a gap was changed.
        """
        if self.digest != index:
            raise TrustError("bundle-differs", f"{self.path.name} is not the bundle that was expected", details=index)
        return self._genuine(Accepted((), self._index.keyring))

    def _genuine(self, accepted: Accepted) -> VerifiedBundle:
        with self._volumes.opened() as volumes:
            if not _sound(volumes, self._index.stub):
                raise _broken(self.path, "stub", "its start-up script was changed", 0)
            for text in (self._index.help, self._index.info, self._index.listing):
                if not _sound(volumes, text):
                    raise _broken(self.path, "texts", "their digest does not fit", text.offset)
            for offset, size in gaps(self._index):
                if any(volumes.pread(size, offset)):
                    raise _broken(self.path, "padding", "bytes between the members are not zero", offset)
        return VerifiedBundle(self.path, self._volumes, self._index, digest_bytes(self._stored), accepted)


@dataclass(frozen=True, slots=True)
class Member:
    """A raw member that is being read in place: see `VerifiedBundle.opened`."""

    size: int
    _offset: int
    _volumes: OpenVolumes

    def pread(self, size: int, offset: int) -> bytes:
        """Up to `size` bytes from `offset` of the member on; less only at its end. Safe from several threads.

        The bytes are not checked here: `VerifiedBundle.extract` does that with `check`.

        Raises:
            IntegrityError: the file became shorter.
        """
        return self._volumes.pread(max(0, min(size, self.size - offset)), self._offset + offset)


class VerifiedBundle:
    """A bundle whose index is genuine. `digest` is its identity; a host that takes it has `keyring` from then on."""

    def __init__(self, path: Path, volumes: Volumes, index: Index, digest: Digest, accepted: Accepted) -> None:
        self.path = path
        self.index = index
        self.digest = digest
        self.signers = accepted.signers
        self.keyring = accepted.keyring
        self._volumes = volumes

    @property
    def release(self) -> Digest:
        """What the release is, however it came: see `release_digest`."""
        return release_digest(self.index)

    @property
    def size(self) -> int:
        """Bytes of the whole bundle, in however many files."""
        return self._volumes.size

    def extract(
        self,
        folder: Path,
        *,
        sink: Sink,
        stage: str,
        select: Callable[[Entry], bool] | None = None,
        check: Callable[[Entry], bool] | None = None,
    ) -> None:
        """Write the entries that `select` (without it: all) chooses under `folder`, checking each while it is written;
        those that only `check` chooses are read and checked.

        Nothing is flushed: see `sync_filesystem`. Existing files are never replaced. What was written before an error
        stays: the caller owns `folder`.

        Raises:
            IntegrityError: members are damaged; lists all of them.
            UsageError: one that `select` chooses is not in an upgrade bundle.
            OSError: the disk is full, a file exists already, …
        """
        written = by_blob(entry for entry in self.index.entries if select is None or select(entry))
        checked = by_blob(entry for entry in self.index.entries if check is not None and check(entry))
        wanted = [
            Wanted(blob, tuple(written.get(blob.digest, ())), tuple(checked.get(blob.digest, ())))
            for blob in self.index.blobs
            if blob.digest in written or blob.digest in checked
        ]
        if outside := sorted({each.digest for each in self.index.borrowed} & written.keys()):
            raise self._borrowed(written[outside[0]][0])
        with self._volumes.opened() as volumes:
            damages = Extraction(volumes, folder, lambda size: sink.emit(Advanced(stage, size))).run(wanted)
        if damages:
            raise damaged(self.path.name, damages)

    def stored_size(self, select: Callable[[Entry], bool]) -> int:
        """How many bytes of the bundle belong to the chosen entries: what `extract` reports as it goes."""
        chosen = by_blob(filter(select, self.index.entries))
        return sum(blob.stored_size for blob in self.index.blobs if blob.digest in chosen)

    def read(self, path: str) -> bytes:
        """The content of one entry, for small ones.

        Raises:
            UsageError: there is no such entry.
            IntegrityError: it is damaged.
        """
        return b"".join(self.chunks(path))

    def chunks(self, path: str) -> Iterator[bytes]:
        """The content of one entry, a chunk at a time, each checked before it is given out.

        Raises:
            UsageError: there is no such entry.
            IntegrityError: a chunk is damaged.
        """
        entry, blob = self._find(path)
        with self._volumes.opened() as volumes:
            for piece in pieces_of(blob):
                found = content(volumes, piece)
                if found is None:
                    raise damaged(self.path.name, [Damage(entry.component, entry.path, piece.offset, piece.size)])
                yield found

    @contextmanager
    def opened(self, path: str) -> Iterator[Member]:
        """An entry that is stored as it is, to be read by position without being written anywhere.

        Raises:
            UsageError: there is no such entry, or it is compressed.
        """
        _, blob = self._find(path)
        if blob.codec != "raw":
            raise UsageError("entry-compressed", f"{path} is compressed in {self.path.name}", remedy="extract it")
        with self._volumes.opened() as volumes:
            yield Member(blob.size, blob.offset, volumes)

    @contextmanager
    def patch(self, digest: Digest) -> Iterator[BufferedReader]:
        """The patch with that digest, checked while it is read.

        Raises:
            IntegrityError: it is damaged.
        """
        from payload.streams import as_file  # noqa: PLC0415 - a check needs no files

        blob = next(blob for blob in self.index.blobs if blob.digest == digest)
        with self._volumes.opened() as volumes:
            yield as_file(self._sound_pieces(volumes, blob))

    def _sound_pieces(self, volumes: OpenVolumes, blob: Blob) -> Iterator[bytes]:
        for piece in pieces_of(blob):
            found = content(volumes, piece)
            if found is None:
                users = self._users()[blob.digest]
                raise damaged(
                    self.path.name, [Damage(each.component, each.path, piece.offset, piece.size) for each in users]
                )
            yield found

    def _users(self) -> dict[str, list[Entry]]:
        """The files that need each member; a patch belongs to the files that are made with it."""
        files = by_blob(self.index.entries)
        for each in self.index.borrowed:
            for source in each.sources:
                if source.patch is not None:
                    files.setdefault(source.patch, []).extend(files[each.digest])
        return files

    def text(self, section: Section) -> str:
        """One of the texts of the index."""
        with self._volumes.opened() as volumes:
            return volumes.pread(section.size, section.offset).decode()

    def unpack_runtime(self, folder: Path) -> None:
        """Unpack the frozen runtime into `folder`.

        Raises:
            IntegrityError: it is damaged.
        """
        from payload.streams import as_file  # noqa: PLC0415 - a check needs neither files nor tar
        from payload.tarball import unpack_gzip  # noqa: PLC0415

        runtime = self.index.runtime
        with self._volumes.opened() as volumes:
            if not _sound(volumes, runtime):
                raise _broken(self.path, "runtime", "its digest does not fit", runtime.offset)
            unpack_gzip(as_file(volumes.chunks(runtime.offset, runtime.size)), folder)

    def check(self, sink: Sink, *, stage: str = "check") -> tuple[Damage, ...]:
        """Read the whole bundle once, on all cores, and list every damaged range; some files share a member."""
        files = self._users()
        wanted = [Wanted(blob, (), tuple(files[blob.digest])) for blob in self.index.blobs]
        runtime = self.index.runtime
        with self._volumes.opened() as volumes:
            extraction = Extraction(volumes, Path(os.devnull), lambda size: sink.emit(Advanced(stage, size)))
            found = extraction.run(wanted)
            if not _sound(volumes, runtime):
                found = (Damage("runtime", "runtime", runtime.offset, runtime.size), *found)
        return found

    def _find(self, path: str) -> tuple[Entry, Blob]:
        entry = next((entry for entry in self.index.entries if entry.path == path), None)
        if entry is None:
            raise UsageError("entry-unknown", f"{path} is not in {self.path.name}", remedy="see --list")
        blob = next((blob for blob in self.index.blobs if blob.digest == entry.blob), None)
        if blob is None:
            raise self._borrowed(entry)
        return entry, blob

    def _borrowed(self, entry: Entry) -> UsageError:
        return UsageError(
            "entry-borrowed",
            f"{entry.path} is not in {self.path.name}: an upgrade takes it from what is installed",
            remedy="use the full bundle",
        )


def damaged(name: str, damages: Sequence[Damage]) -> IntegrityError:
    """The error that lists what is damaged of the bundle called `name`."""
    return IntegrityError(
        "bundle-damaged",
        f"{name} is damaged",
        details="\n".join(map(str, damages)),
        remedy="copy or download the file again; `--check` lists everything that is damaged",
    )


def _sound(volumes: OpenVolumes, section: Section) -> bool:
    return intact(volumes, section.offset, section.size, section.digest)


def _broken(path: Path, name: str, why: str, offset: int) -> IntegrityError:
    return IntegrityError(
        "bundle-damaged",
        f"{path.name} is damaged",
        details=f"{name}: {why} (at byte {offset})",
        remedy="copy or download the file again; `--check` lists everything that is damaged",
    )
