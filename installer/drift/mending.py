"""Which steps put back what can be had from this host itself. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from installer import parts
from installer.drift.model import Finding, Part
from installer.layout import Layout
from installer.offer import Offer
from installer.parts import Site
from installer.plan import Plan
from installer.steps import AnyStep, InstallUnits, MakeLinks, MakeVenv, SetAside, SetRights, UnpackPython
from installer.steps.rights import Rights

_RIGHTS = {"mode", "owner"}
_RESTART: set[Part] = {"environment", "python", "unit"}


@dataclass(frozen=True, slots=True)
class _Drift:
    """Findings that this host can put back by itself."""

    findings: tuple[Finding, ...]

    def of(self, *wanted: Part) -> frozenset[Path]:
        """What of these parts is to be made anew, by path."""
        found = (each for each in self.findings if each.part in wanted and each.kind not in _RIGHTS)
        return frozenset(Path(each.subject) for each in found)

    def rights(self, remade: set[Part]) -> tuple[Finding, ...]:
        """Modes and owners to be set, of all but what is made anew anyhow."""
        return tuple(each for each in self.findings if each.kind in _RIGHTS and each.part not in remade)


def plan_mending(site: Site, offer: Offer, findings: Sequence[Finding]) -> Plan | None:
    """The steps for all `findings` that need nothing but this host; None if there are none.

    Where the product runs, it is started again after the code that it runs was put back.
    """
    drift = _Drift(tuple(each for each in findings if each.drift and each.fix == "host"))
    lost = {Path(each.subject) for each in findings if each.fix != "host"}
    steps = [*_environment(offer, drift, lost), *_outside(site, offer, drift, lost)]
    remade: set[Part] = {"environment"} if any(isinstance(step, MakeVenv) for step in steps) else set()
    remade |= {"python"} if any(isinstance(step, UnpackPython) for step in steps) else set()
    if rights := drift.rights(remade):
        steps.append(SetRights(files=_rights(rights, site.layout), reason="others could read or change it"))
    if drift.of("unit") or remade:
        stop = parts.stop(offer.startable, "it runs what is put back")
        steps = [*stop, *steps, *parts.start(offer, wanted=True)] if site.active else steps
    if not steps:
        return None
    return Plan("repair", site.layout.product, offer.version, site.run, tuple(steps))


def _environment(offer: Offer, drift: _Drift, lost: set[Path]) -> list[AnyStep]:
    """The environment, and the Python under it, anew, if all that they are made of is sound."""
    steps: list[AnyStep] = []
    for step in parts.environment(offer):
        if isinstance(step, UnpackPython) and drift.of("python") and step.archive not in lost:
            steps += [SetAside(path=step.python, reason="it differs from the release"), step]
        if isinstance(step, MakeVenv) and drift.of("environment"):
            sources = (step.wheels, step.pip)
            if not any(path.is_relative_to(source) for path in lost for source in sources):
                steps += [SetAside(path=step.venv, reason="it differs from the release"), step]
    return steps


def _outside(site: Site, offer: Offer, drift: _Drift, lost: set[Path]) -> list[AnyStep]:
    layout = site.layout
    steps: list[AnyStep] = []
    folders = drift.of("folder")
    if missing := tuple(each for each in parts.folders(layout, offer).folders if each.path in folders):
        steps.append(replace(parts.folders(layout, offer), folders=missing))
    for key in parts.ssh_keys(site, offer):
        theirs = {key.key.with_name(f"{key.key.name}.pub"), key.admission.authorized_keys if key.admission else key.key}
        if drift.of("key") & theirs and key.key not in lost:  # a new key would let nobody in
            steps.append(replace(key, reason="the key is there"))
    config = tuple(file for file in offer.config if file.path in drift.of("config"))
    steps += parts.config(offer, config)
    if drift.of("image") and not any(image.source in lost for image in offer.images):
        steps += parts.images(layout, offer)
    names = {path.name for path in drift.of("unit")}
    if units := tuple(unit for unit in offer.units if unit.name in names):
        steps.append(InstallUnits(folder=layout.units_dir, units=units, reason="systemd runs the product"))
    if drift.of("sysctl"):
        steps += parts.kernel(site, offer)
    if drift.of("firewall"):
        steps += parts.firewall(site, offer)
    return [*steps, *_links(site, offer, drift.of("link"))]


def _links(site: Site, offer: Offer, paths: frozenset[Path]) -> list[AnyStep]:
    layout = site.layout
    steps: list[AnyStep] = []
    links = tuple(link for link in parts.links_of(layout, offer) if link.path in paths)
    scripts = tuple(script for script in parts.scripts_of(layout, offer) if script.path in paths)
    if links or scripts:
        steps.append(MakeLinks(links=links, scripts=scripts, reason="what operators call"))
    if layout.current in paths:
        steps.append(parts.switch(layout, offer))
    return steps


def _rights(findings: Sequence[Finding], layout: Layout) -> tuple[Rights, ...]:
    """What the files of `findings` are to have, each once. In the data folder its user could lay links."""
    wanted = {each.wanted.path: each.wanted for each in findings if each.wanted is not None}
    return tuple(
        Rights(
            path=path,
            top=layout.data_dir if layout.data_dir in path.parents else path.parent,
            mode=each.mode_for(0),
            user=each.user,
            group=each.group,
        )
        for path, each in wanted.items()
    )
