"""The metadata of an upstream: repomd.xml and what it names, fetched, checked and unpacked."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import posixpath
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import zstandard

from payload.digest import CHUNK, digest_bytes
from payload.errors import IntegrityError, ResolveError
from payload.manifest import Upstream
from repos.origin import Origin, find_origin
from repos.repomd import CLOSURE_KINDS, REPOMD, MetadataFile, Repomd, bad_metadata, parse_repomd, screen
from repos.signatures import verify_metadata
from repos.signing import SIGNATURE_SUFFIX
from repos.sync import Download, Fetcher, join_url

_UNPACKED_LIMIT = 4 << 30
_XZ_MEMORY = 256 << 20
"""More than xz -9 asks for (65 MB), far less than a hostile file can."""
_ROUNDS = 3
"""How often repomd.xml is read anew because the upstream changed in the middle."""


class SupportsRead(Protocol):
    """An open file."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of one upstream, every byte checked. `documents` are the packed files in the store, `urls` the
    mirrors that have it, the one first that it came from."""

    upstream: Upstream
    repomd: Repomd
    documents: tuple[tuple[MetadataFile, Path], ...]
    urls: tuple[str, ...]
    cache: Path
    """A folder for what is made of the documents."""

    @property
    def where(self) -> str:
        """Where it came from, for messages."""
        return self.urls[0]

    def find(self, kind: str) -> tuple[MetadataFile, Path] | None:
        """The document of that kind, packed."""
        return next((found for found in self.documents if found[0].kind == kind), None)

    @contextmanager
    def unpack(self, kind: str) -> Iterator[IO[bytes] | None]:
        """A plain temporary file with the document, screened if it is XML; None if the upstream has none of that kind.

        Raises:
            IntegrityError: it does not unpack, unpacks to something else, or has a document type.
        """
        found = self.find(kind)
        if found is None:
            yield None
            return
        where = f"{self.where}: {found[0].location}"
        with tempfile.TemporaryFile(prefix="sealift-metadata-") as plain:
            _unpack(*found, plain, where)
            if kind != "modules":
                screen(plain, where=where)
                plain.seek(0)
            yield plain


def load_metadata(
    upstream: Upstream,
    keys: Sequence[Path],
    fetcher: Fetcher,
    *,
    variables: Mapping[str, str] | None = None,
    also: Sequence[str] = (),
) -> Metadata:
    """Fetch an upstream's metadata: what a closure is solved from, and documents of the kinds `also`.

    An unchanged upstream costs one repomd.xml (its signature, its mirror list). An upstream that changes while it is
    read is read again.

    Raises:
        TrustError: the upstream's metadata should be signed by one of `keys` and is not.
        IntegrityError: a document is not what repomd.xml says, or repomd.xml not what the metalink says.
        ResolveError: it cannot be fetched.
        InputError: a key file has no public key, or a URL a variable without a value.
    """
    origin = find_origin(upstream, variables or {}, fetcher)
    last: bytes | None = None
    for _ in range(_ROUNDS):
        base, content = _read_repomd(upstream, origin, keys, fetcher)
        repomd = parse_repomd(content, where=join_url(base, REPOMD))
        if repomd.find("primary") is None:
            raise ResolveError("no-primary", f"{join_url(base, REPOMD)} names no primary metadata")
        files = [file for kind in (*CLOSURE_KINDS, *also) if (file := repomd.find(kind)) is not None]
        urls = (base, *(url for url in origin.urls if url != base))
        downloads = [Download(tuple(join_url(u, f.location) for u in urls), f.digest, f.size) for f in files]
        try:
            fetcher.fetch(downloads, stage=f"metadata {upstream.id}", text=f"metadata of {upstream.id}")
        except (ResolveError, IntegrityError) as error:
            if content == last or error.code == "disk-full":
                raise
            last = content  # perhaps what it names was replaced meanwhile: then repomd.xml differs now
            continue
        documents = tuple((file, fetcher.store.path(file.digest)) for file in files)
        return Metadata(upstream, repomd, documents, urls, fetcher.store.root / "solv")
    raise ResolveError("upstream-changes", f"{origin.urls[0]} changed each time it was read", remedy="Try again later.")


def _read_repomd(upstream: Upstream, origin: Origin, keys: Sequence[Path], fetcher: Fetcher) -> tuple[str, bytes]:
    """The first mirror whose repomd.xml is there and is one that the metalink names; its signature is checked."""
    reasons: list[str] = []
    for base in origin.urls:
        url = join_url(base, REPOMD)
        try:
            content = fetcher.read(url)
            if origin.repomd and digest_bytes(content) not in origin.repomd:
                reasons.append(f"{url} is none that the metalink names")
                continue
            if upstream.signed_metadata:
                verify_metadata(content, fetcher.read(f"{url}{SIGNATURE_SUFFIX}"), keys, where=url)
            return base, content
        except ResolveError as error:
            if len(origin.urls) == 1:
                raise
            reasons.append(f"{error.brief}: {error.details}")
    kind = IntegrityError if origin.repomd else ResolveError
    raise kind(
        "no-mirror-has-it",
        f"No mirror of {upstream.id} has metadata that can be used",
        details="\n".join(dict.fromkeys(reasons)),
    )


def _unpack(file: MetadataFile, path: Path, plain: IO[bytes], where: str) -> None:
    hasher = hashlib.sha256()
    try:
        with _reader(file.location, path) as packed:
            for chunk in packed:
                hasher.update(chunk)
                plain.write(chunk)
                if plain.tell() > _UNPACKED_LIMIT:
                    raise bad_metadata(where, f"it unpacks to more than {_UNPACKED_LIMIT} bytes")
    except (EOFError, lzma.LZMAError, zlib.error, zstandard.ZstdError) as error:
        raise bad_metadata(where, str(error)) from error
    except OSError as error:
        if error.errno is not None:  # the gzip and bz2 modules use OSError, without a number, for damage
            raise
        raise bad_metadata(where, str(error)) from error
    if file.open_digest not in (None, f"sha256:{hasher.hexdigest()}"):
        raise bad_metadata(where, "it unpacks to something else than repomd.xml says")
    plain.seek(0)


@contextmanager
def _reader(location: str, path: Path) -> Iterator[Iterator[bytes]]:
    with path.open("rb") as packed:
        match posixpath.splitext(location)[1]:
            case ".gz":
                yield _chunks(gzip.GzipFile(fileobj=packed))
            case ".xz":
                yield _unxz(packed)
            case ".bz2":
                yield _chunks(bz2.BZ2File(packed))
            case ".zst":
                yield _chunks(zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True))
            case _:
                yield _chunks(packed)


def _chunks(plain: SupportsRead) -> Iterator[bytes]:
    return iter(lambda: plain.read(CHUNK), b"")


def _unxz(packed: IO[bytes]) -> Iterator[bytes]:
    """As `lzma.open`, which sets no limit to the memory that a file may ask for."""
    decoder = lzma.LZMADecompressor(memlimit=_XZ_MEMORY)
    while not decoder.eof:
        more = packed.read(CHUNK) if decoder.needs_input else b""
        if decoder.needs_input and not more:
            raise EOFError("the file ends too early")
        yield decoder.decompress(more, CHUNK)
