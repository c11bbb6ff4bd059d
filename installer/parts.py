"""The parts that plans are put together from: each gives the steps for one concern. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from installer.layout import Layout
from installer.offer import Offer
from installer.outlook import NOTHING_TO_DO, Outlook
from installer.state import AnswerValue
from installer.steps import (
    AnyStep,
    AwaitHealth,
    InstallPackages,
    InstallUnits,
    KeepConfig,
    MakeFolders,
    MakeLinks,
    MakeSshKey,
    MakeVenv,
    OpenPorts,
    RegisterImages,
    RemovePackages,
    RunCommand,
    SetSysctls,
    StageRelease,
    StartUnits,
    StopUnits,
    Switch,
    UnpackPython,
    WriteConfig,
    WriteFiles,
    WriteSecrets,
)
from installer.steps.config import RenderedConfig
from installer.steps.files import NewFile
from installer.steps.folders import Folder
from installer.steps.links import Link
from installer.steps.postgresql import Postgresql
from installer.steps.sshkey import Admission
from installer.steps.stage import BaseRelease
from installer.steps.sysctl import Setting
from installer.surroundings import UNTOUCHED, Surroundings
from payload.model import PYTHON_ARCHIVE, PYTHON_FOLDER
from repos.dialect import Source
from repos.nevra import Nevra
from repos.offline import bundle_repository


@dataclass(frozen=True, slots=True)
class Site:
    """What the planners know about host and run. `stamp` is the time of the run as text, `run` its name."""

    layout: Layout
    run: str
    stamp: str
    homes: Mapping[str, str]
    active: bool
    """A unit of the installed release runs, or it has none."""
    start: bool = True
    """The operator wants services to run."""
    trust: NewFile | None = None
    """What the host will remember of whose bundles it takes, where that changes."""
    base: BaseRelease | None = None
    """What an upgrade bundle is completed from."""
    surroundings: Surroundings = UNTOUCHED
    elsewhere: Postgresql | None = None
    """The database, if the configuration names one that this host has the programs to copy."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The operator's choices, resolved."""

    values: Mapping[str, AnswerValue]
    generated: tuple[str, ...]
    outlook: Outlook = NOTHING_TO_DO
    """What is known about packages beforehand."""
    older: Source | None = None
    """The private repository of the installed release."""
    mirror: str | None = None
    """What the operator said after `-R`, now or at an earlier run."""
    bundle_first: bool = False
    """The mirror only has what the bundle lacks."""
    shipped: Mapping[Path, str] = field(default_factory=dict)
    """Configuration files as the installed release rendered them."""


def stage(site: Site, offer: Offer, reason: str, *, repair: bool = False) -> StageRelease:
    """Lay the release down."""
    return StageRelease(
        release=offer.release, repair=repair, all_packages=offer.keeps_all_packages, base=site.base, reason=reason
    )


def packages(offer: Offer, chosen: Chosen) -> list[AnyStep]:
    """Install what the product wants of the host."""
    if not offer.has_packages:
        return []
    where = f"the mirror {chosen.mirror}" if chosen.mirror else "the bundle"
    if chosen.bundle_first:
        where = f"the bundle; what it lacks, {where}"
    wanted = offer.manifest.repository.packages
    return [
        InstallPackages(
            wanted=wanted,
            bundle=bundle_repository(offer.manifest, offer.release),
            mirrors=chosen.outlook.mirrors,
            bundle_first=chosen.bundle_first,
            harm=chosen.outlook.harm,
            release=offer.release,
            older=chosen.older,
            reason=f"from {where}",
        )
    ]


def remove_packages(offer: Offer, packages: tuple[Nevra, ...]) -> list[AnyStep]:
    """Remove what installs brought."""
    if not packages:
        return []
    reason = "installs of this product brought them, and nothing else needs them"
    bundle = bundle_repository(offer.manifest, offer.release)
    return [RemovePackages(packages=packages, repositories=bundle, release=offer.release, reason=reason)]


def remove_units(layout: Layout, units: tuple[str, ...]) -> list[AnyStep]:
    """Remove all units."""
    if not units:
        return []
    return [InstallUnits(folder=layout.units_dir, units=(), remove=units, reason="the product's units")]


def environment(offer: Offer) -> list[AnyStep]:
    """The server's Python environment, and the Python under it where the bundle brings one."""
    own = offer.release / PYTHON_FOLDER
    brings = offer.manifest.brings_python
    unpack = UnpackPython(
        archive=offer.release / PYTHON_ARCHIVE, python=own, reason="the product needs no Python of the host"
    )
    make = MakeVenv(
        python=str(own / "bin/python3") if brings else "python3",
        venv=offer.release / "venv",
        wheels=offer.release / "wheels/server",
        requirements=offer.release / "wheels/server/requirements.txt",
        pip=offer.release / offer.pip,
        reason="the server runs in an environment of its own",
    )
    return [unpack, make] if brings else [make]


def folders(layout: Layout, offer: Offer) -> MakeFolders:
    """The folders outside the release."""
    user = offer.manifest.user
    return MakeFolders(
        folders=(
            Folder(layout.config_dir, 0o750, user, group_only=True),
            Folder(layout.data_dir, 0o750, user, keep=(layout.state_dir.name,)),
            Folder(layout.log_dir, 0o750, user, keep=("install-*.log",)),
        ),
        reason="configuration, data and logs live outside the release",
    )


def keyring(site: Site) -> list[AnyStep]:
    """Pin the bundle's keys, and remember that no older bundle is to be taken."""
    if site.trust is None:
        return []
    return [
        WriteFiles(what="the host's keyring", files=(site.trust,), reason="later bundles must be signed by its keys")
    ]


def secrets(layout: Layout, chosen: Chosen) -> list[AnyStep]:
    """Write generated secrets."""
    if not chosen.generated:
        return []
    return [WriteSecrets(folder=layout.config_dir, names=chosen.generated, reason="made for this host")]


def ssh_keys(site: Site, offer: Offer) -> list[MakeSshKey]:
    """The product's SSH keys."""
    layout = site.layout
    steps = []
    for item in offer.manifest.ssh_keys:
        marker = f"sealift:{layout.product}:{item.path}"
        admission = None
        if item.authorize is not None:
            home = Path(site.homes.get(item.authorize, str(layout.data_dir)))
            admission = Admission(item.authorize, home / ".ssh/authorized_keys", marker)
        steps.append(
            MakeSshKey(
                key=layout.data_dir / item.path,
                user=offer.manifest.user,
                comment=f"{layout.product}:{item.path}",
                admission=admission,
                reason="made once, kept across upgrades",
            )
        )
    return steps


def config(offer: Offer, files: tuple[RenderedConfig, ...]) -> list[AnyStep]:
    """Write the configuration."""
    if not files:
        return []
    return [WriteConfig(files=files, user=offer.manifest.user, reason="your edits stay")]


def keep_config(kept: Path, paths: set[str]) -> KeepConfig:
    """Keep a copy of the configuration."""
    return KeepConfig(
        paths=tuple(Path(path) for path in sorted(paths)),
        listing=kept / "config/files.json",
        reason="for a rollback after success",
    )


def images(layout: Layout, offer: Offer) -> list[AnyStep]:
    """Register images."""
    if not offer.images:
        return []
    return [RegisterImages(folder=layout.images_dir, images=offer.images, reason="the product looks for them there")]


def commands(layout: Layout, offer: Offer, *, first: bool) -> list[AnyStep]:
    """Set-up."""
    wanted = {"install", "always"} if first else {"always"}
    user, cwd = offer.manifest.user, layout.data_dir
    steps: list[AnyStep] = []
    for each in offer.setup:
        if each.when in wanted:
            reason = "the product asks for it"
            steps.append(RunCommand(what="set up", argv=each.argv, user=user, cwd=cwd, stdin=each.stdin, reason=reason))
    return steps


def farewell(layout: Layout, offer: Offer) -> list[AnyStep]:
    """What the product does before it goes."""
    user, cwd, reason = offer.manifest.user, layout.data_dir, "the product cleans up what it did elsewhere"
    return [
        RunCommand(what="clean up", argv=each.argv, user=user, cwd=cwd, reason=reason)
        for each in offer.setup
        if each.when == "uninstall"
    ]


def units(layout: Layout, offer: Offer, before: tuple[str, ...]) -> list[AnyStep]:
    """Write units, remove those that are gone."""
    gone = tuple(name for name in before if name not in {unit.name for unit in offer.units})
    if not offer.units and not gone:
        return []
    return [InstallUnits(folder=layout.units_dir, units=offer.units, remove=gone, reason="systemd runs the product")]


def kernel(site: Site, offer: Offer) -> list[AnyStep]:
    """Kernel settings: those of the release, and no others of the product any more."""
    if not offer.settings and not site.surroundings.has_settings:
        return []
    reason = "the product needs them" if offer.settings else "nothing of the product needs them"
    return [_kernel(site.layout, offer.settings, reason)]


def forget_kernel(site: Site) -> list[AnyStep]:
    """Set the kernel's values back."""
    return [_kernel(site.layout, (), "the product goes")] if site.surroundings.has_settings else []


def _kernel(layout: Layout, settings: tuple[Setting, ...], reason: str) -> SetSysctls:
    return SetSysctls(file=layout.sysctl_file, origin=layout.sysctl_origin, settings=settings, reason=reason)


def firewall(site: Site, offer: Offer) -> list[AnyStep]:
    """Open the release's ports, and close what else was opened for the product."""
    if not offer.ports and not site.surroundings.has_ports:
        return []
    return [_ports(site, offer.ports, "other hosts are to reach the product")]


def close_ports(site: Site) -> list[AnyStep]:
    """Close what was opened."""
    return [_ports(site, (), "the product goes")] if site.surroundings.has_ports else []


def _ports(site: Site, ports: tuple[str, ...], reason: str) -> OpenPorts:
    return OpenPorts(
        record=site.layout.firewall_record, ports=ports, firewall=site.surroundings.firewall, reason=reason
    )


def links_of(layout: Layout, offer: Offer) -> tuple[Link, ...]:
    """Links to the product's commands."""
    venv = layout.current / "venv/bin"
    return tuple(Link(layout.commands_dir / name, str(venv / name)) for name in offer.manifest.server.commands)


def scripts_of(layout: Layout, offer: Offer) -> tuple[NewFile, ...]:
    """The control command, and what bash completes it by."""
    return NewFile(layout.ctl, offer.ctl, 0o755), NewFile(layout.completion, offer.completion)


def links(layout: Layout, offer: Offer, before: tuple[str, ...]) -> MakeLinks:
    """Commands for operators."""
    links = links_of(layout, offer)
    now = {str(link.path) for link in links}
    return MakeLinks(
        links=links,
        scripts=scripts_of(layout, offer),
        remove=tuple(Path(path) for path in before if path not in now),
        reason="what operators call",
    )


def switch(layout: Layout, offer: Offer) -> Switch:
    """Make this release the current one."""
    target = f"releases/{offer.version}"
    return Switch(current=layout.current, target=target, reason="from here on this release is the current one")


def stop(units: tuple[str, ...], reason: str) -> list[AnyStep]:
    """Stop what runs."""
    units = tuple(unit for unit in units if "@." not in unit)
    return [StopUnits(units=units, reason=reason)] if units else []


def start(offer: Offer, *, wanted: bool) -> list[AnyStep]:
    """Start, and wait until the product answers."""
    if not wanted or not offer.startable:
        return []
    units, health = offer.startable, offer.manifest.server.health
    steps: list[AnyStep] = [StartUnits(units=units, reason="the product is to run")]
    if health is not None and offer.health_url is not None:
        steps.append(AwaitHealth(url=offer.health_url, timeout=health.timeout, units=units, reason="else it is undone"))
    return steps
