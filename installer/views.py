"""What a bundle shows of itself without changing the host: as data for `--json`, and as lines."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from installer.flow import Prepared, prepare
from installer.preflight import report_lines
from installer.session import Session
from installer.transaction import unfinished
from payload.archive import Damage
from payload.errors import IntegrityError, UsageError
from payload.events import stage


@dataclass(frozen=True, slots=True)
class View:
    """The same thing twice."""

    body: Any
    lines: tuple[str, ...]


def info(session: Session) -> View:
    """What the bundle is."""
    index = session.bundle.index
    manifest = index.manifest
    product = manifest.product
    body = {
        "product": product.name,
        "title": product.title,
        "version": str(product.version),
        "upgrades-from": None if product.upgrades_from is None else str(product.upgrades_from),
        "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(index.created)),
        "digest": session.bundle.digest,
        "signed-by": session.bundle.signed_by.fingerprint,
        "trusted": session.trusted.reason,
        "targets": [target.model_dump(mode="json") for target in manifest.targets],
        "packages": list(manifest.repository.packages),
        "mirrors": sorted(manifest.mirrors),
        "images": [{"name": image.name, "embedded": image.embed} for image in manifest.images],
        "questions": [answer.model_dump(mode="json") for answer in manifest.answers],
        "files": len(index.entries),
        "size": session.bundle.path.stat().st_size,
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


def listing(session: Session) -> View:
    """Every file inside."""
    index = session.bundle.index
    blobs = {blob.digest: blob for blob in index.blobs}
    rows = [
        {"component": entry.component, "path": entry.path, "size": blobs[entry.blob].size, "digest": entry.blob}
        for entry in index.entries
    ]
    return View(rows, tuple(f"{row['size']:>12}  {row['component']:<20}  {row['path']}" for row in rows))


def check(session: Session) -> View:
    """Read everything and compare.

    Raises:
        IntegrityError: something is damaged; lists all of it.
    """
    size = session.bundle.path.stat().st_size
    with stage(session.sink, "check", "check every file", total=size):
        damage = session.bundle.check(session.sink)
    if damage:
        raise IntegrityError(
            "bundle-damaged",
            f"{session.program} is damaged",
            details="\n".join(map(_damage_line, damage)),
            remedy="copy or download the file again",
        )
    signed_by = session.bundle.signed_by.fingerprint
    body = {"intact": True, "files": len(session.bundle.index.entries), "signed-by": signed_by}
    return View(body, (f"{session.program}: every file is intact; signed by {signed_by}, {session.trusted.reason}",))


def extract(session: Session) -> View:
    """Write every file into a new or empty folder.

    Raises:
        UsageError: the folder has something in it.
        IntegrityError: a file is damaged.
    """
    folder = session.request.extract_to
    if folder is None:
        raise UsageError("folder-missing", "--extract needs a folder")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError("folder-not-empty", f"{folder} is not an empty folder", remedy="name a new one")
    folder.mkdir(parents=True, exist_ok=True)
    with stage(session.sink, "extract", f"extract into {folder}", total=session.bundle.path.stat().st_size):
        session.bundle.extract(folder, sink=session.sink, stage="extract")
    count = len(session.bundle.index.entries)
    return View({"folder": str(folder), "files": count}, (f"{count} files are in {folder}",))


def preflight(session: Session, environment: Mapping[str, str]) -> tuple[View, Prepared]:
    """What does not fit on this host."""
    prepared = prepare(session, environment)
    body = {
        "fits": not any(finding.strict for finding in prepared.findings),
        "mode": prepared.mode,
        "findings": [asdict(finding) for finding in prepared.findings],
    }
    lines = report_lines(prepared.findings) or (f"this host fits: {prepared.mode} can go on",)
    return View(body, lines), prepared


def dry_run(session: Session, environment: Mapping[str, str]) -> tuple[View, Prepared]:
    """The plan, and nothing done."""
    prepared = prepare(session, environment)
    waiting = [str(path) for path in unfinished(session.layout)] if session.state else []
    notes = tuple(f"first an unfinished run is put right: {path}" for path in waiting)
    if prepared.plan is None:
        return View({"mode": prepared.mode, "steps": [], "unfinished": waiting}, (*notes, *prepared.notes)), prepared
    plan = prepared.plan
    head = f"{plan.mode} of {plan.product} {plan.version}: {len(plan.steps)} steps. This is a dry run: nothing is done."
    body = plan.to_body() | {"digest": plan.digest, "unfinished": waiting}
    return View(body, (*notes, head, *plan.lines(), *report_lines(prepared.findings))), prepared


def _damage_line(damage: Damage) -> str:
    return f"{damage.component}: {damage.path} at byte {damage.offset}: {damage.why}"
