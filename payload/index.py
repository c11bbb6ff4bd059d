"""The index as bytes: encoding it, and decoding it without trusting it.

What a row by itself cannot say is checked here: that members lie in order, aligned, without overlap and inside the
file; that paths are unique and no file is also a folder; that every blob is used and every entry has one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import PurePosixPath

import zstandard

from payload.digest import DIGEST, Digest, digest_bytes
from payload.errors import IntegrityError
from payload.format import CHUNK_SIZE, MAX_INDEX_CONTENT, STUB_SIZE, Trailer, aligned
from payload.model import (
    FORMAT_VERSION,
    Base,
    Blob,
    Borrowed,
    Chunk,
    Entry,
    Index,
    Section,
    Source,
    index_damaged,
)
from payload.names import COMPONENT, LIBC_VERSION, SHA256, relative_path
from payload.strict import MalformedError, document, load, optional, record, rows, table, whole, words
from payload.trust import Signature, read_keyring, read_signature
from payload.version import parse_version

_LEVEL = 19
MAX_GROWTH = 64 << 10
"""So much longer than its content a zstd frame may be."""
_NUMBER = whole()
_SECTION = record(Section, offset=_NUMBER, size=_NUMBER, digest=DIGEST)
_CHUNK = record(Chunk, size=whole(1), digest=DIGEST)
_BLOB = record(
    Blob,
    digest=DIGEST,
    size=_NUMBER,
    codec=words("raw", "zstd"),
    offset=_NUMBER,
    stored_size=_NUMBER,
    chunks=rows(_CHUNK),
)
_ENTRY = record(Entry, component=COMPONENT, path=relative_path, mode=whole(0, 0o777), blob=DIGEST)
_BASE = record(Base, version=parse_version, release=DIGEST)
_SOURCE = record(Source, path=relative_path, patch=optional(DIGEST))
_BORROWED = record(Borrowed, digest=DIGEST, size=_NUMBER, sources=rows(_SOURCE), header=optional(SHA256))
_INDEX = record(
    Index,
    format=whole(FORMAT_VERSION, FORMAT_VERSION),
    created=_NUMBER,
    keyring=read_keyring,
    manifest_table=table,
    lock_table=table,
    stub=_SECTION,
    runtime=_SECTION,
    libc=LIBC_VERSION,
    help=_SECTION,
    info=_SECTION,
    listing=_SECTION,
    blobs=rows(_BLOB),
    entries=rows(_ENTRY),
    bases=rows(_BASE),
    borrowed=rows(_BORROWED),
)
read_signatures = rows(read_signature)


def index_text(index: Index) -> bytes:
    """The index as canonical JSON."""
    body = {"format": index.format} | document(index, defaults=False)
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read_index(text: bytes) -> Index:
    """Read what `index_text` wrote; which file it describes is not known here.

    Raises:
        IntegrityError: it is malformed.
    """
    try:
        index = _INDEX(load(text))
        _ = index.product, index.locked
    except MalformedError as error:
        raise index_damaged(str(error)) from error
    return index


def encode_index(index: Index) -> bytes:
    """The stored form: canonical JSON in one zstd frame. These are the bytes that are signed."""
    return zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).compress(index_text(index))


def decode_index(stored: bytes, trailer: Trailer) -> Index:
    """Read the stored form and check that it describes the file it was found in.

    Raises:
        IntegrityError: it is damaged, malformed, too large, or describes something else.
    """
    if digest_bytes(stored) != trailer.index_digest:
        raise index_damaged("its digest does not fit the trailer")
    try:
        size = zstandard.frame_content_size(stored)
        if not 0 < size <= MAX_INDEX_CONTENT:
            raise index_damaged(f"it would be {size} bytes long")
        text = zstandard.ZstdDecompressor().decompress(stored, max_output_size=size)
    except zstandard.ZstdError as error:
        raise index_damaged(str(error)) from error
    index = read_index(text)
    _check_members(index, trailer)
    _check_entries(index)
    return index


def encode_signatures(signatures: Iterable[Signature]) -> bytes:
    """The stored form: compact JSON, one signature of each key, sorted by key: in whatever order they were made."""
    by_key = {signature.key: signature for signature in signatures}
    found = [document(by_key[key], defaults=True) for key in sorted(by_key)]
    return json.dumps(found, sort_keys=True, separators=(",", ":")).encode()


def decode_signatures(stored: bytes) -> tuple[Signature, ...]:
    """Read what `encode_signatures` wrote; nothing else passes.

    Raises:
        IntegrityError: it is something else.
    """
    try:
        signatures = read_signatures(load(stored))
    except MalformedError as error:
        raise IntegrityError("bundle-damaged", "the bundle's signatures are damaged", details="signatures") from error
    if encode_signatures(signatures) != stored:
        raise IntegrityError("bundle-damaged", "the bundle's signatures are damaged", details="signatures")
    return signatures


def gaps(index: Index) -> tuple[tuple[int, int], ...]:
    """The (offset, size) of the padding between the parts of the file."""
    ends = [index.runtime.offset + index.runtime.size, *(blob.offset + blob.stored_size for blob in index.blobs)]
    starts = [*(blob.offset for blob in index.blobs), index.help.offset]
    return tuple((end, start - end) for end, start in zip(ends, starts, strict=True) if start > end)


def _check_members(index: Index, trailer: Trailer) -> None:
    if (index.stub.offset, index.stub.size, index.runtime.offset) != (0, STUB_SIZE, STUB_SIZE):
        raise index_damaged("stub and runtime do not lie where they must")
    end = aligned(index.runtime.offset + index.runtime.size)
    seen: set[str] = set()
    for blob in index.blobs:
        if blob.offset != end:
            raise index_damaged(f"the member at {blob.offset} should be at {end}")
        if blob.digest in seen:
            raise index_damaged(f"{blob.digest} is listed twice")
        _check_chunks(blob)
        seen.add(blob.digest)
        end = aligned(blob.offset + blob.stored_size)
    texts = (index.help, index.info, index.listing)
    if [each.offset for each in texts] != [trailer.help_offset, trailer.info_offset, trailer.listing_offset]:
        raise index_damaged("the trailer says something else about the texts")
    for text in texts:
        if text.offset != end:
            raise index_damaged(f"the text at {text.offset} should be at {end}")
        end += text.size
    if end != trailer.index_offset:
        raise index_damaged(f"the texts end at {end}, the index starts at {trailer.index_offset}")


def _check_chunks(blob: Blob) -> None:
    """Their sizes fit the member's, and no chunk is larger than a reader has to hold."""
    sizes = [chunk.size for chunk in blob.chunks]
    if len(sizes) != -(-blob.size // CHUNK_SIZE) or sum(sizes) != blob.stored_size:
        raise index_damaged(f"the chunks of the member at {blob.offset} are not all of it")
    wanted = pieces(blob.size)
    if blob.codec == "zstd" and any(size > wanted + MAX_GROWTH for size, wanted in zip(sizes, wanted, strict=True)):
        raise index_damaged(f"a chunk of the member at {blob.offset} is too large")
    if blob.codec == "raw" and (sizes != wanted or (len(sizes) == 1 and blob.chunks[0].digest != blob.digest)):
        raise index_damaged(f"the raw member at {blob.offset} has two sizes or digests")


def pieces(size: int) -> list[int]:
    """The sizes of the pieces that a content of `size` bytes is cut into."""
    whole, rest = divmod(size, CHUNK_SIZE)
    return [CHUNK_SIZE] * whole + ([rest] if rest else [])


def _check_entries(index: Index) -> None:
    blobs = {blob.digest for blob in index.blobs}
    borrowed = {each.digest for each in index.borrowed}
    _check_borrowed(index, blobs)
    paths: set[str] = set()
    for entry in index.entries:
        if entry.path in paths:
            raise index_damaged(f"{entry.path} is listed twice")
        if entry.blob not in blobs and entry.blob not in borrowed:
            raise index_damaged(f"{entry.path} has no member")
        paths.add(entry.path)
    folders = {str(parent) for path in paths for parent in PurePosixPath(path).parents}
    if clash := sorted(paths & folders):
        raise index_damaged(f"{clash[0]} is a file and a folder")
    wanted = {entry.blob for entry in index.entries}
    patches = {source.patch for each in index.borrowed for source in each.sources}
    if unused := (blobs - wanted - patches) | (borrowed - wanted):
        raise index_damaged(f"{len(unused)} members belong to no file")


def _check_borrowed(index: Index, blobs: set[Digest]) -> None:
    left = any(each.header is not None for each in index.borrowed)
    packages = {rpm.digest for rpm in index.lock.rpms} if left else set()
    for each in index.borrowed:
        if each.header is not None and (each.sources or each.digest not in packages or not index.bases):
            raise index_damaged(f"{each.digest} is left to the host, and is no package, or has sources")
        if each.digest in blobs or (each.header is None and len(each.sources) != len(index.bases)):
            raise index_damaged(f"{each.digest} is in the file, or not in every base")
        if any(source.patch is not None and source.patch not in blobs for source in each.sources):
            raise index_damaged(f"a patch of {each.digest} is not in the file")
    if len({each.digest for each in index.borrowed}) < len(index.borrowed):
        raise index_damaged("a borrowed content is listed twice")


def release_digest(index: Index) -> Digest:
    """What a release is, however it came: equal for the full bundle and for upgrade bundles of the same build."""
    files = (f"{entry.mode} {entry.blob} {entry.component} {entry.path}\n" for entry in index.entries)
    product = index.product
    return digest_bytes(f"{product.name} {product.version} {index.runtime.digest}\n{''.join(files)}".encode())


def by_blob(entries: Iterable[Entry]) -> dict[str, list[Entry]]:
    """Entries grouped by the member that they share."""
    groups: dict[str, list[Entry]] = {}
    for entry in entries:
        groups.setdefault(entry.blob, []).append(entry)
    return groups
