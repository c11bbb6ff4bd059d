"""The metadata of an upstream: repomd.xml and what it names, fetched, checked and unpacked."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import posixpath
import tempfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast

import zstandard

from payload.digest import CHUNK
from payload.errors import ResolveError
from payload.model import Upstream
from repos.repomd import KINDS, REPOMD, MetadataFile, Repomd, bad_metadata, parse_repomd, screen
from repos.signatures import verify_metadata
from repos.sync import Download, Fetcher, join_url

_UNPACKED_LIMIT = 4 << 30


@dataclass(frozen=True, slots=True)
class Metadata:
    """The metadata of one upstream, every byte checked. `documents` are the packed files in the store."""

    upstream: Upstream
    repomd: Repomd
    documents: tuple[tuple[MetadataFile, Path], ...]

    @contextmanager
    def unpack(self, kind: str) -> Iterator[IO[bytes] | None]:
        """A plain, screened, temporary file with the document's XML; None if the upstream has none of that kind.

        Raises:
            IntegrityError: it does not unpack, unpacks to something else, or has a document type.
        """
        found = next(((file, path) for file, path in self.documents if file.kind == kind), None)
        if found is None:
            yield None
            return
        with tempfile.TemporaryFile(prefix="sealift-metadata-") as plain:
            _unpack(*found, plain, f"{self.upstream.url}: {found[0].location}")
            yield plain


def load_metadata(upstream: Upstream, keys: Sequence[Path], fetcher: Fetcher) -> Metadata:
    """Fetch an upstream's metadata. An unchanged upstream costs one repomd.xml (and its signature).

    Raises:
        TrustError: the upstream's metadata should be signed by one of `keys` and is not.
        IntegrityError: a document is not what repomd.xml says.
        ResolveError: it cannot be fetched.
        InputError: a key file has no public key.
    """
    url = join_url(upstream.url, REPOMD)
    content = fetcher.read(url)
    if upstream.signed_metadata:
        verify_metadata(content, fetcher.read(f"{url}.asc"), keys, where=url)
    repomd = parse_repomd(content, where=url)
    if repomd.find("primary") is None:
        raise ResolveError("no-primary", f"{url} names no primary metadata")
    files = [file for kind in KINDS if (file := repomd.find(kind)) is not None]
    downloads = [Download((join_url(upstream.url, file.location),), file.digest, file.size) for file in files]
    fetcher.fetch(downloads, stage=f"metadata {upstream.id}", text=f"metadata of {upstream.id}")
    return Metadata(upstream, repomd, tuple((file, fetcher.store.path(file.digest)) for file in files))


def _unpack(file: MetadataFile, path: Path, plain: IO[bytes], where: str) -> None:
    hasher = hashlib.sha256()
    try:
        with _reader(file.location, path) as packed:
            while chunk := packed.read(CHUNK):
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
    screen(plain, where=where)
    plain.seek(0)


def _reader(location: str, path: Path) -> BinaryIO:
    match posixpath.splitext(location)[1]:
        case ".gz":
            return cast(BinaryIO, gzip.open(path, "rb"))
        case ".xz":
            return cast(BinaryIO, lzma.open(path, "rb"))
        case ".bz2":
            return cast(BinaryIO, bz2.open(path, "rb"))
        case ".zst":
            return cast(BinaryIO, zstandard.open(path, "rb"))
        case _:
            return path.open("rb")
