"""What a bundle says of itself in plain text: written by the builder, printed by the stub and by the runtime alike.

A row of the listing begins with columns for programs (a shell cuts them off): everything that is needed to take one
file out with nothing but dd, head and, for a compressed one, zstd.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import TYPE_CHECKING

from payload.digest import hex_of
from payload.model import Base, Blob, Borrowed, Entry
from payload.trust import PublicKey

if TYPE_CHECKING:
    from payload.manifest import Manifest, Target

PROGRAM = "@program@"
"""Stands in the help for the name that the file has when it is called."""
LISTING_COLUMNS = 110
"""Bytes of a row before what people read: mode, codec, offset, stored size, SHA-256 of the content."""


def listing_text(entries: Iterable[Entry], blobs: Iterable[Blob], borrowed: Iterable[Borrowed] = ()) -> str:
    """One row for each file. The codec of one that is not in the file is `base`."""
    by_digest = {blob.digest: blob for blob in blobs}
    sizes = {each.digest: each.size for each in borrowed}
    return "".join(_row(entry, by_digest.get(entry.blob), sizes.get(entry.blob, 0)) for entry in entries)


def human_rows(listing: str) -> tuple[str, ...]:
    """The rows of a listing as people see them."""
    return tuple(row[LISTING_COLUMNS:] for row in listing.splitlines())


def info_text(
    manifest: Manifest, *, created: int, keys: Iterable[PublicKey], bases: Iterable[Base] = (), left_to_host: int = 0
) -> str:
    """What the bundle is, in its own words. `left_to_host`: so many packages are not in it."""
    product = manifest.product
    lines = (
        f"{product.title} {product.version} ({product.name})",
        f"  created:       {time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(created))}",
        *(f"  vendor's key:  {key.fingerprint}" for key in keys),
        *(f"  for:           {_hosts(each)}" for each in manifest.targets),
        f"  upgrades from: {product.upgrades_from or 'no release'}",
        *(f"  needs:         {each.version} to be installed, or another one listed here" for each in bases),
        *((f"  for one host:  {left_to_host} packages are left out, which that host has",) if left_to_host else ()),
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


def _row(entry: Entry, blob: Blob | None, size: int) -> str:
    codec, offset, stored = (blob.codec, blob.offset, blob.stored_size) if blob else ("base", 0, 0)
    columns = f"{entry.mode:04o} {codec:<4} {offset:>16} {stored:>16} {hex_of(entry.blob)}"
    return f"{columns:<{LISTING_COLUMNS}}{blob.size if blob else size:>12}  {entry.component:<20}  {entry.path}\n"


def _printable(line: str) -> str:
    """Without what would move a terminal's cursor."""
    return "".join(letter if letter.isprintable() else " " for letter in line)
