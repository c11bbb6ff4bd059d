"""What a bundle shows of itself, whatever the host: as data for `--json`, and as lines."""

from __future__ import annotations

import fnmatch
import json
import time
from dataclasses import dataclass
from typing import Any

from installer.opened import Opened
from payload.archive import damaged
from payload.errors import UsageError
from payload.events import stage
from payload.model import PROVENANCE_PATH, SBOM_PATH, Entry
from payload.texts import human_rows
from payload.trust import names


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
        "signed-by": [key.fingerprint for key in opened.bundle.signers],
        "trusted": opened.trusted.reason,
        "targets": [target.model_dump(mode="json") for target in manifest.targets],
        "packages": list(manifest.repository.packages),
        "mirrors": sorted(manifest.mirrors),
        "images": [{"name": image.name, "embedded": image.embed} for image in manifest.images],
        "questions": [answer.model_dump(mode="json") for answer in manifest.answers],
        "files": len(index.entries),
        "size": opened.bundle.size,
    }
    lines = (
        *opened.bundle.text(index.info).splitlines(),
        f"  signed by:     {names(opened.bundle.signers)}, {body['trusted']}",
        f"  digest:        {body['digest']}",
    )
    return View(body, lines)


def listing(opened: Opened) -> View:
    """Every file inside."""
    index = opened.bundle.index
    sizes = index.content_sizes
    rows = [
        {"component": entry.component, "path": entry.path, "size": sizes[entry.blob], "digest": entry.blob}
        for entry in index.entries
    ]
    return View(rows, human_rows(opened.bundle.text(index.listing)))


def sbom(opened: Opened) -> View:
    """The bill of materials."""
    return _document(opened, SBOM_PATH)


def provenance(opened: Opened) -> View:
    """How it was built."""
    return _document(opened, PROVENANCE_PATH)


def _document(opened: Opened, path: str) -> View:
    text = opened.bundle.read(path).decode()
    return View(json.loads(text), (text.rstrip(),))


def check(opened: Opened) -> View:
    """Read everything and compare.

    Raises:
        IntegrityError: something is damaged; lists all of it.
    """
    bundle = opened.bundle
    with stage(opened.sink, "check", "check every file", total=bundle.size):
        if damages := bundle.check(opened.sink):
            raise damaged(opened.program, damages)
    signed_by = names(bundle.signers)
    body = {
        "intact": True,
        "files": len(bundle.index.entries),
        "signed-by": [key.fingerprint for key in bundle.signers],
    }
    return View(body, (f"{opened.program}: every file is intact; signed by {signed_by}, {opened.trusted.reason}",))


def extract(opened: Opened) -> View:
    """Write every file, or those that the patterns name, into a new or empty folder.

    Raises:
        UsageError: the folder has something in it, or a pattern names no file.
        IntegrityError: a file is damaged.
    """
    folder, patterns, bundle = opened.request.extract_to, opened.request.patterns, opened.bundle
    if folder is None:
        raise UsageError("folder-missing", "--extract needs a folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("folder-not-empty", f"{folder} is not an empty folder", remedy="name a new one")
    paths = [entry.path for entry in bundle.index.entries]
    if unknown := [pattern for pattern in patterns if not fnmatch.filter(paths, pattern)]:
        raise UsageError(
            "pattern-unknown", f"no file is called {', '.join(unknown)}", remedy="--list names them; quote * and ?"
        )
    chosen = {path for pattern in patterns or ("*",) for path in fnmatch.filter(paths, pattern)}

    def select(entry: Entry) -> bool:
        return entry.path in chosen

    folder.mkdir(parents=True, exist_ok=True)
    with stage(opened.sink, "extract", f"extract into {folder}", total=bundle.stored_size(select)):
        bundle.extract(folder, sink=opened.sink, stage="extract", select=select)
    return View({"folder": str(folder), "files": len(chosen)}, (f"{len(chosen)} files are in {folder}",))
