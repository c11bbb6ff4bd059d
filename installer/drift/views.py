"""What `verify` says: one line for each finding, and what can be done about them."""

from __future__ import annotations

from installer.drift.model import Finding, Fix
from installer.drift.verify import Verified
from installer.layout import Layout
from installer.views import View


def verified_view(layout: Layout, found: Verified) -> View:
    """The result, for people and for programs."""
    drift = found.drift
    body = {
        "product": layout.product,
        "version": str(found.version),
        "compared": found.compared,
        "drifted": bool(drift),
        "findings": [finding.body() for finding in found.findings],
    }
    edited = len(found.findings) - len(drift)
    own = f", and {edited} that you edited" if edited else ""
    result = f"{len(drift)} differ{own}" if drift else f"all as it was installed{own.replace('and', 'but')}"
    name = f"{layout.product} {found.version}"
    lines = (
        *(finding.line for finding in found.findings),
        f"{name}: {found.compared} files, links and folders compared: {result}",
        *(f"What to do: {line}" for line in _advice(layout, found, drift)),
    )
    return View(body, lines)


def _advice(layout: Layout, found: Verified, drift: tuple[Finding, ...]) -> list[str]:
    counts: dict[Fix, int] = {}
    for finding in drift:
        counts[finding.fix] = counts.get(finding.fix, 0) + 1
    words: dict[Fix, str] = {
        "host": f"{layout.ctl.name} verify --repair puts {{}} back from what lies on this host",
        "bundle": f"bash {layout.product}-installer-{found.version}.bin -o puts {{}} back",
        "backup": "of these, {} cannot be made again: only a backup has them",
        "operator": "of these, {} need somebody who decides",
    }
    return [text.format(counts[fix]) for fix, text in words.items() if fix in counts]
