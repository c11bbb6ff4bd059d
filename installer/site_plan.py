"""What this host has, for a vendor who builds the smallest upgrade bundle for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from installer.drift.anchor import anchored_index
from installer.installed import Installed
from installer.steps.service import active_units
from installer.steps.stage import damaged, is_package
from installer.views import View
from payload.events import stage
from payload.model import Index
from payload.siteplan import HeldFile, HeldPackage, SitePlan
from repos.dnf import detect
from repos.nevra import Nevra

_NO_ARCH = "(none)"


def site_plan(installed: Installed) -> View:
    """The plan, as the document and in a few lines. Every file of the release is read; nothing is changed.

    Raises:
        IntegrityError: the list of the installed release's files is not the one that was installed.
        CommandError: rpm fails.
    """
    state = installed.state
    index = anchored_index(installed)
    units = tuple(unit for unit in state.units if "@." not in unit)
    manager = detect()
    packages = _held_packages(manager.installed(), manager.headers())
    with stage(installed.sink, "plan", "read the installed release"):
        files = tuple(_held_files(installed.layout.release(state.current), index))
    plan = SitePlan(
        product=state.product,
        version=state.current,
        release=state.current_record.bundle,
        releases=tuple(record.version for record in state.releases),
        running=bool(active_units(units, installed.host)),
        answers=_answers(installed, index),
        files=files,
        packages=packages,
    )
    return View(plan.model_dump(mode="json", by_alias=True), _lines(plan, index))


def _held_files(release: Path, index: Index) -> Iterator[HeldFile]:
    altered = damaged(release, index, all_packages=False)
    for entry in index.entries:
        if entry.path not in altered and (not is_package(entry.path) or (release / entry.path).exists()):
            yield HeldFile(path=entry.path, digest=entry.blob)


def _held_packages(installed: frozenset[Nevra], headers: Mapping[Nevra, str]) -> tuple[HeldPackage, ...]:
    """What has no architecture is no package: keys in the database of rpm."""
    chosen = sorted((nevra for nevra in installed if nevra.arch != _NO_ARCH), key=lambda nevra: nevra.key)
    return tuple(HeldPackage(nevra=str(nevra), header=headers.get(nevra)) for nevra in chosen)


def _answers(installed: Installed, index: Index) -> dict[str, str | int | bool]:
    """The state has no secrets; questions that became secret later are left out all the same."""
    secret = {question.name for question in index.manifest.answers if question.secret}
    return {name: value for name, value in installed.state.answers.items() if name not in secret}


def _lines(plan: SitePlan, index: Index) -> tuple[str, ...]:
    return (
        f"{plan.product} {plan.version} ({plan.release}){', running' if plan.running else ''}",
        f"  files:     {len(plan.files)} of {len(index.entries)} are here as they were signed",
        f"  packages:  {len(plan.packages)} installed",
        "To give it to the vendor, write it to a file: the same command with --json > site.json",
    )
