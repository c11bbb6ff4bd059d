"""What preflight needs of a bundle, as a sparse copy: packages, wheels and images stay here."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from payload import effects
from payload.archive import VerifiedBundle
from payload.errors import UsageError
from payload.model import Entry

_BLOCK = 1 << 20
_NEEDED = ("templates", "repository", "lock")
_PACKAGE = ".rpm"


def pack_excerpt(bundle: VerifiedBundle, archive: Path) -> None:
    """Write `archive`: a compressed tar with a file of the bundle's name and size, which has holes where members lie
    that looking at a host does not read. Its signature holds, since that is over the index.

    Raises:
        UsageError: the bundle lies in several files.
    """
    if bundle.path.stat().st_size != bundle.size:
        raise UsageError(
            "bundle-split", "a bundle in parts cannot be sent to nodes", remedy="get the bundle in one file"
        )
    copy = archive.with_name(bundle.path.name)
    source, target = os.open(bundle.path, os.O_RDONLY | os.O_CLOEXEC), os.open(copy, os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        os.ftruncate(target, bundle.size)
        for offset, size in needed(bundle):
            _copy(source, target, offset, size)
    finally:
        os.close(source)
        os.close(target)
    effects.run(("tar", "-C", archive.parent, "--sparse", "-czf", archive, copy.name))
    copy.unlink()


def needed(bundle: VerifiedBundle) -> Iterator[tuple[int, int]]:
    """The parts (offset, size) that looking at a host reads: everything that is no member, and small members."""
    index = bundle.index
    chosen = {entry.blob for entry in index.entries if _is_needed(entry)}
    holes = sorted((blob.offset, blob.stored_size) for blob in index.blobs if blob.digest not in chosen)
    at = 0
    for offset, size in holes:
        if offset > at:
            yield at, offset - at
        at = max(at, offset + size)
    yield at, bundle.size - at


def _is_needed(entry: Entry) -> bool:
    return entry.component in _NEEDED and not entry.path.endswith(_PACKAGE)


def _copy(source: int, target: int, offset: int, size: int) -> None:
    end = offset + size
    while offset < end:
        block = os.pread(source, min(_BLOCK, end - offset), offset)
        if not block:
            raise UsageError("bundle-changed", "the bundle became shorter while it was read")
        offset += os.pwrite(target, block, offset)
