"""Packages of the host that the current release wants, or brought."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

from installer.drift.model import Finding
from installer.offer import Offer
from installer.packages import kept_packages
from installer.steps.packages import ADDED_NAME
from payload.model import Index
from repos.dnf import PackageManager
from repos.nevra import Nevra


def package_findings(manager: PackageManager, offer: Offer, index: Index, *, mirror: str | None) -> Iterator[Finding]:
    """What of the wanted packages is missing, and what of those that came with this release is of another version.

    A package that the host had already, or got from a `mirror`, may be of any version that the product can do with.

    Raises:
        CommandError: rpm fails.
    """
    missing = manager.missing(offer.manifest.repository.packages)
    for name in missing:
        yield Finding("missing", "package", name, "no installed package satisfies it", "bundle")
    said = {name.split()[0] for name in missing}
    expected = (nevra for nevra in expected_packages(offer, index, mirror=mirror) if nevra.name not in said)
    yield from version_findings(expected, manager.installed())


def expected_packages(offer: Offer, index: Index, *, mirror: str | None) -> frozenset[Nevra]:
    """The packages that were installed in exactly the version of the lock when this release came."""
    if not offer.keeps_all_packages:
        return kept_packages(offer.release)
    added = _added(offer.release / ADDED_NAME) if mirror is None else frozenset()
    return frozenset(Nevra.parse(rpm.nevra) for rpm in index.lock.rpms if rpm.name in added)


def version_findings(expected: Iterable[Nevra], installed: Iterable[Nevra]) -> Iterator[Finding]:
    """Those of `expected` that are not installed like that."""
    here: dict[tuple[str, str], list[Nevra]] = {}
    for nevra in installed:
        here.setdefault((nevra.name, nevra.arch), []).append(nevra)
    for wanted in sorted(expected, key=lambda nevra: nevra.key):
        found = sorted(here.get((wanted.name, wanted.arch), ()), key=lambda nevra: nevra.key)
        if not found:
            text = f"the release brought {wanted.short}, and it is not installed any more"
            yield Finding("missing", "package", wanted.name, text, "operator")
        elif wanted not in found:
            shown = ", ".join(nevra.short for nevra in found)
            text = f"the release brought {wanted.short}, and this host has {shown}"
            yield Finding("version", "package", wanted.name, text, "operator")


def _added(path: Path) -> frozenset[str]:
    return frozenset(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else frozenset()
