"""The metadata of an upstream: repomd.xml and what it names, fetched, checked, unpacked, ready for libsolv."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import posixpath
import re
import tempfile
import xml.etree.ElementTree as ET
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, cast
from xml.parsers import expat

import zstandard

from payload.digest import CHUNK, Digest
from payload.errors import IntegrityError, ResolveError
from payload.model import Upstream
from repos.signatures import verify_metadata
from repos.sync import Download, Fetcher, join_url

KINDS = ("primary", "filelists")
"""The documents that the closure is solved from."""
REPOMD = "repodata/repomd.xml"

_NAMESPACE = "{http://linux.duke.edu/metadata/repo}"
_UNPACKED_LIMIT = 4 << 30
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class MetadataFile:
    """A document that repomd.xml names. `open_digest` is of what it unpacks to, where that is said."""

    kind: str
    location: str
    digest: Digest
    size: int | None
    open_digest: Digest | None


@dataclass(frozen=True, slots=True)
class Repomd:
    """What repomd.xml says."""

    revision: str
    files: tuple[MetadataFile, ...]

    def find(self, kind: str) -> MetadataFile | None:
        """The document of that kind."""
        return next((file for file in self.files if file.kind == kind), None)


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


def parse_repomd(content: bytes, *, where: str) -> Repomd:
    """Read a repomd.xml.

    Raises:
        IntegrityError: it is malformed, has a document type, or names a file by an unsafe path.
        ResolveError: it names a file by another digest than SHA-256.
    """
    screen(content, where=where)
    try:
        root = ET.fromstring(content)  # noqa: S314 - screened: without a document type there are no entities to expand
    except ET.ParseError as error:
        raise bad_metadata(where, str(error)) from error
    files = tuple(
        _file(element, where) for element in root.iterfind(f"{_NAMESPACE}data") if element.get("type") in KINDS
    )
    return Repomd(root.findtext(f"{_NAMESPACE}revision", ""), files)


def screen(content: bytes | IO[bytes], *, where: str) -> None:
    """Refuse XML with a document type: it is what entities are declared in, and rpm-md has none.

    Raises:
        IntegrityError: it has one, or no root element.
    """
    parser = expat.ParserCreate()
    seen: list[str] = []
    parser.StartDoctypeDeclHandler = lambda *_: seen.append("doctype")
    parser.StartElementHandler = lambda *_: seen.append("element")
    chunks = (content,) if isinstance(content, bytes) else iter(lambda: content.read(CHUNK), b"")
    try:
        for chunk in chunks:
            parser.Parse(chunk)
            if seen:
                break
    except expat.ExpatError as error:
        if not seen:
            raise bad_metadata(where, str(error)) from error
    if not seen or seen[0] != "element":
        raise bad_metadata(where, "it has a document type" if seen else "it has no root element")


def safe_location(location: str, *, where: str) -> str:
    """`location` without empty and `.` parts.

    Raises:
        IntegrityError: it leads out of the repository.
    """
    path = posixpath.normpath(location)
    if path.startswith(("/", "..")) or "://" in location or "\\" in path or "\0" in path:
        raise bad_metadata(where, f"it names {location!r}, which is outside of the repository")
    return path


def _file(element: ET.Element, where: str) -> MetadataFile:
    kind = element.get("type", "")
    location = element.find(f"{_NAMESPACE}location")
    href = location.get("href") if location is not None else None
    digest = _digest(element, "checksum", where)
    size = element.findtext(f"{_NAMESPACE}size", "")
    if not href or digest is None or (size and not size.isdecimal()):
        raise bad_metadata(where, f"its record of {kind} lacks a location, a checksum or a size in digits")
    return MetadataFile(
        kind,
        safe_location(href, where=where),
        digest,
        int(size) if size else None,
        _digest(element, "open-checksum", where),
    )


def _digest(element: ET.Element, name: str, where: str) -> Digest | None:
    checksum = element.find(f"{_NAMESPACE}{name}")
    if checksum is None:
        return None
    value = (checksum.text or "").strip()
    if checksum.get("type") != "sha256":
        raise ResolveError(
            "weak-metadata",
            f"{where} names its files by {checksum.get('type')} digests",
            remedy="Use an upstream that has SHA-256 digests, or make one of its packages with createrepo_c.",
        )
    if not _SHA256.fullmatch(value):
        raise bad_metadata(where, f"{value!r} is not a SHA-256 digest")
    return f"sha256:{value}"


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


def bad_metadata(where: str, why: str) -> IntegrityError:
    """The error for metadata that is not what it should be."""
    return IntegrityError("bad-metadata", f"{where} is damaged or hostile", details=why)
