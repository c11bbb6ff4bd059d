"""What `sealift mirror` says at its end: values for machines and text for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from builder.mirror import Difference, Synced
from builder.report import Report
from repos.checking import Checked
from repos.closure import ResolvedPackage


def synced(mirror: Synced) -> Report:
    """A mirror that is up to date."""
    values: dict[str, object] = {
        "mirror": str(mirror.folder),
        "packages": mirror.packages,
        "size": mirror.size,
        "revision": mirror.revision,
        "changed": mirror.changed,
        "added": list(mirror.added),
        "removed": list(mirror.removed),
    }
    what = f"{mirror.packages} packages, {_mebibytes(mirror.size)}, revision {mirror.revision}"
    if not mirror.changed:
        return values, f"{mirror.folder}: up to date: {what}"
    return values, f"{mirror.folder}: {what}; {len(mirror.added)} added, {len(mirror.removed)} removed"


def listed(packages: Sequence[ResolvedPackage]) -> Report:
    """The packages of a mirror."""
    rows = [
        {"nevra": str(one.nevra), "size": one.size, "digest": one.digest, "location": one.location} for one in packages
    ]
    width = max((len(one.nevra.short) for one in packages), default=0)
    lines = [f"{one.nevra.short:<{width}}  {_mebibytes(one.size):>10}" for one in packages]
    lines.append(f"{len(packages)} packages, {_mebibytes(sum(one.size for one in packages))}")
    return {"packages": rows}, "\n".join(lines)


def checked(folder: Path, found: Checked) -> Report:
    """A mirror without faults."""
    values: dict[str, object] = {"mirror": str(folder), "packages": found.packages, "signed-metadata": found.signed}
    signed = "metadata signed" if found.signed else "metadata not signed"
    text = f"{folder}: {found.packages} packages, {_mebibytes(found.size)}: whole, trusted, complete; {signed}"
    return values, text


def difference(found: Difference) -> Report:
    """What two mirrors do not share."""
    values: dict[str, object] = {
        "added": [str(nevra) for nevra in found.added],
        "removed": [str(nevra) for nevra in found.removed],
        "changed": [[str(old), str(new)] for old, new in found.changed],
        "replaced": [str(nevra) for nevra in found.replaced],
    }
    lines = [f"- {nevra.short}" for nevra in found.removed]
    lines += [f"+ {nevra.short}" for nevra in found.added]
    lines += [f"~ {old.short} -> {new.evr}" for old, new in found.changed]
    lines += [f"! {nevra.short}: the same version, other bytes" for nevra in found.replaced]
    return values, "\n".join(lines) or "the same packages"


def serving(url: str) -> Report:
    """A server that has begun."""
    return {"url": url}, f"{url}: serving, until interrupted"


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MB"
