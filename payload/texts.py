"""What a bundle says of itself in plain text: written by the builder, printed by the stub and by the runtime alike.

A row of the listing begins with columns for programs (a shell cuts them off): everything that is needed to take one
file out with nothing but dd, head and, for a compressed one, zstd.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from payload.digest import hex_of
from payload.model import Blob, Entry, Manifest, Target
from payload.trust import PublicKey

PROGRAM = "@program@"
"""Stands in the help for the name that the file has when it is called."""
LISTING_COLUMNS = 110
"""Bytes of a row before what people read: mode, codec, offset, stored size, SHA-256 of the content."""


def listing_text(entries: Iterable[Entry], blobs: Iterable[Blob]) -> str:
    """One row for each file."""
    by_digest = {blob.digest: blob for blob in blobs}
    return "".join(map(_row, entries, (by_digest[entry.blob] for entry in entries)))


def human_rows(listing: str) -> tuple[str, ...]:
    """The rows of a listing as people see them."""
    return tuple(row[LISTING_COLUMNS:] for row in listing.splitlines())


def info_text(manifest: Manifest, *, created: int, keys: Iterable[PublicKey]) -> str:
    """What the bundle is, in its own words."""
    product = manifest.product
    lines = (
        f"{product.title} {product.version} ({product.name})",
        f"  created:       {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(created))}",
        *(f"  vendor's key:  {key.fingerprint}" for key in keys),
        *(f"  for:           {_hosts(each)}" for each in manifest.targets),
        f"  upgrades from: {product.upgrades_from or 'no release'}",
        f"  packages:      {', '.join(manifest.repository.packages) or 'none'}",
        f"  mirrors (-R):  {', '.join(sorted(manifest.mirrors)) or 'none by name; a URL works'}",
        *(f"  image:         {image.name}{'' if image.embed else ' (not embedded)'}" for image in manifest.images),
        *(f"  question:      {answer.name}: {answer.prompt}" for answer in manifest.answers),
        "  true?          this is what the file says of itself: --check verifies it",
    )
    return "".join(f"{_printable(line)}\n" for line in lines)


def _hosts(target: Target) -> str:
    python = "its own Python" if target.python is None else f"Python {target.python}"
    return f"{', '.join(target.os)} on {target.arch}, {python}"


def _row(entry: Entry, blob: Blob) -> str:
    columns = f"{entry.mode:04o} {blob.codec:<4} {blob.offset:>16} {blob.stored_size:>16} {hex_of(blob.digest)}"
    return f"{columns:<{LISTING_COLUMNS}}{blob.size:>12}  {entry.component:<20}  {entry.path}\n"


def _printable(line: str) -> str:
    """Without what would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in line)
