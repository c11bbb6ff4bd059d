"""What a bundle shows of itself, whatever the host: as data for `--json`, and as lines."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from installer.opened import Opened, require_intact
from payload.errors import UsageError
from payload.events import stage


@dataclass(frozen=True, slots=True)
class View:
    """The same thing twice."""

    body: Any
    lines: tuple[str, ...]


def version(opened: Opened) -> View:
    """Product and version."""
    product = opened.bundle.index.manifest.product
    body = {"product": product.name, "version": str(product.version)}
    return View(body, (f"{product.name} {product.version}",))


def info(opened: Opened) -> View:
    """What the bundle is."""
    index = opened.bundle.index
    manifest = index.manifest
    product = manifest.product
    body = {
        "product": product.name,
        "title": product.title,
        "version": str(product.version),
        "upgrades-from": None if product.upgrades_from is None else str(product.upgrades_from),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(index.created)),
        "digest": opened.bundle.digest,
        "signed-by": opened.bundle.signed_by.fingerprint,
        "trusted": opened.trusted.reason,
        "targets": [target.model_dump(mode="json") for target in manifest.targets],
        "packages": list(manifest.repository.packages),
        "mirrors": sorted(manifest.mirrors),
        "images": [{"name": image.name, "embedded": image.embed} for image in manifest.images],
        "questions": [answer.model_dump(mode="json") for answer in manifest.answers],
        "files": len(index.entries),
        "size": opened.bundle.path.stat().st_size,
    }
    lines = (
        f"{product.title} {product.version} ({product.name})",
        f"  created:       {body['created']}",
        f"  signed by:     {body['signed-by']}, {body['trusted']}",
        f"  digest:        {body['digest']}",
        *(f"  for:           {', '.join(each.os)} on {each.arch}, Python {each.python}" for each in manifest.targets),
        f"  upgrades from: {body['upgrades-from'] or 'no release'}",
        f"  packages:      {', '.join(manifest.repository.packages) or 'none'}",
        f"  mirrors (-R):  {', '.join(sorted(manifest.mirrors)) or 'none by name; a URL works'}",
        *(f"  image:         {image.name}{'' if image.embed else ' (not embedded)'}" for image in manifest.images),
        *(f"  question:      {answer.name}: {answer.prompt}" for answer in manifest.answers),
    )
    return View(body, lines)


def listing(opened: Opened) -> View:
    """Every file inside."""
    index = opened.bundle.index
    blobs = {blob.digest: blob for blob in index.blobs}
    rows = [
        {"component": entry.component, "path": entry.path, "size": blobs[entry.blob].size, "digest": entry.blob}
        for entry in index.entries
    ]
    return View(rows, tuple(f"{row['size']:>12}  {row['component']:<20}  {row['path']}" for row in rows))


def check(opened: Opened) -> View:
    """Read everything and compare.

    Raises:
        IntegrityError: something is damaged; lists all of it.
    """
    require_intact(opened)
    signed_by = opened.bundle.signed_by.fingerprint
    body = {"intact": True, "files": len(opened.bundle.index.entries), "signed-by": signed_by}
    return View(body, (f"{opened.program}: every file is intact; signed by {signed_by}, {opened.trusted.reason}",))


def extract(opened: Opened) -> View:
    """Write every file into a new or empty folder.

    Raises:
        UsageError: the folder has something in it.
        IntegrityError: a file is damaged.
    """
    folder = opened.request.extract_to
    if folder is None:
        raise UsageError("folder-missing", "--extract needs a folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("folder-not-empty", f"{folder} is not an empty folder", remedy="name a new one")
    folder.mkdir(parents=True, exist_ok=True)
    with stage(opened.sink, "extract", f"extract into {folder}", total=opened.bundle.path.stat().st_size):
        opened.bundle.extract(folder, sink=opened.sink, stage="extract")
    count = len(opened.bundle.index.entries)
    return View({"folder": str(folder), "files": count}, (f"{count} files are in {folder}",))
