"""The four planners. Pure: values in, a plan out; nothing is looked at and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from installer.layout import Layout
from installer.offer import Offer
from installer.plan import Mode, Plan
from installer.state import AnswerValue, ReleaseRecord, State
from installer.steps import (
    AnyStep,
    AwaitHealth,
    BackUpDatabase,
    InstallPackages,
    InstallUnits,
    KeepConfig,
    MakeFolders,
    MakeLinks,
    MakeSshKey,
    MakeUser,
    MakeVenv,
    RecordState,
    RegisterImages,
    RemovePackages,
    RemoveTrees,
    RestoreDatabase,
    RestoreFiles,
    RevokeSshKey,
    RunCommand,
    StageRelease,
    StartUnits,
    StopUnits,
    Switch,
    WriteConfig,
    WriteFiles,
    WriteSecrets,
)
from installer.steps.config import RenderedConfig
from installer.steps.files import NewFile
from installer.steps.folders import Folder
from installer.steps.links import Link
from installer.steps.saved import SavedFile
from installer.steps.sshkey import Admission
from repos.dnf import Source
from repos.nevra import Nevra
from repos.offline import RepositoryFile, bundle_repository


@dataclass(frozen=True, slots=True)
class Site:
    """What the planners know about host and run. `stamp` is the time of the run as text, `run` its name."""

    layout: Layout
    run: str
    stamp: str
    homes: Mapping[str, str]
    active: bool
    """A unit of the installed release runs."""
    start: bool = True
    """The operator wants services to run."""
    keys: tuple[NewFile, ...] = ()
    """Files of the host's keyring."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The operator's choices, resolved."""

    values: Mapping[str, AnswerValue]
    generated: tuple[str, ...]
    repositories: RepositoryFile
    """Where packages come from."""
    older: Source | None = None
    """The private repository of the installed release."""
    mirror: str | None = None


def plan_install(site: Site, offer: Offer, chosen: Chosen, *, user_exists: bool) -> Plan:
    """A first install."""
    layout = site.layout
    record = ReleaseRecord(version=offer.version, installed_at=site.stamp, bundle=offer.bundle, config=_digests(offer))
    state = State(
        product=layout.product,
        prefix=str(layout.prefix),
        current=offer.version,
        releases=(record,),
        mirror=chosen.mirror,
        answers=dict(chosen.values),
        units=tuple(unit.name for unit in offer.units),
        links=tuple(str(link.path) for link in links_of(layout, offer)),
        user_created=not user_exists,
    )
    steps: list[AnyStep] = [
        StageRelease(release=offer.release, reason="the release goes beside whatever runs"),
        MakeUser(user=offer.manifest.user, home=layout.data_dir, reason="owns the data and runs the commands"),
        *_packages(offer, chosen),
        _venv(offer),
        _folders(layout, offer),
        *_keyring(site),
        *_secrets(layout, chosen),
        *_ssh_keys(site, offer),
        *_database_backup(site, offer, "data of an earlier install may lie here"),
        *_config(offer, offer.config),
        *_images(layout, offer),
        *_commands(layout, offer, first=True),
        *_units(layout, offer, ()),
        _links_step(layout, offer, ()),
        _switch(layout, offer),
        RecordState(path=layout.state_file, state=_body(state), release=offer.release, reason="what is installed"),
        *_start(offer, wanted=site.start),
    ]
    return _plan("install", site, offer, steps)


def plan_upgrade(site: Site, offer: Offer, chosen: Chosen, state: State) -> Plan:
    """An upgrade: all that takes time happens before the old release is stopped."""
    layout = site.layout
    old = state.current_record
    kept = layout.kept(site.run)
    left = old.model_copy(
        update={
            "database_backup": str(kept / "database.sqlite") if offer.manifest.server.database else None,
            "config_snapshot": str(kept / "config/files.json"),
        }
    )
    record = ReleaseRecord(version=offer.version, installed_at=site.stamp, bundle=offer.bundle, config=_digests(offer))
    others = tuple(each for each in state.releases if each.version not in {old.version, offer.version})
    update = {
        "current": offer.version,
        "releases": (*others, left, record),
        "mirror": chosen.mirror,
        "answers": dict(chosen.values),
        "units": tuple(unit.name for unit in offer.units),
        "links": tuple(str(link.path) for link in links_of(layout, offer)),
    }
    config = tuple(replace(file, before=old.config.get(str(file.path))) for file in offer.config)
    steps: list[AnyStep] = [
        StageRelease(release=offer.release, reason="the new release goes beside the running one"),
        *_packages(offer, chosen),
        _venv(offer),
        *_keyring(site),
        *_secrets(layout, chosen),
        *_ssh_keys(site, offer),
        *_images(layout, offer),
        *_stop(state.units, "nothing may write while the database is copied"),
        *_database_backup(site, offer, "a failure from here on puts it back"),
        _keep_config(kept, {*old.config, *record.config}),
        *_config(offer, config),
        *_commands(layout, offer, first=False),
        *_units(layout, offer, state.units),
        _links_step(layout, offer, state.links),
        _switch(layout, offer),
        RecordState(
            path=layout.state_file,
            state=_body(state.model_copy(update=update)),
            release=offer.release,
            reason="what is installed",
        ),
        *_start(offer, wanted=site.start and site.active),
    ]
    return _plan("upgrade", site, offer, steps)


def plan_repair(site: Site, offer: Offer, chosen: Chosen, state: State, *, venv: bool) -> Plan:
    """The same version again, when something of it is missing or damaged. Services are left as they are."""
    layout = site.layout
    steps: list[AnyStep] = [
        StageRelease(release=offer.release, repair=True, reason="files of the release are missing or damaged"),
        *_packages(offer, chosen),
        *([_venv(offer)] if venv else []),
        *_ssh_keys(site, offer),
        *_images(layout, offer),
        *_units(layout, offer, state.units),
        _links_step(layout, offer, state.links),
        _switch(layout, offer),
    ]
    return _plan("repair", site, offer, steps)


def plan_rollback(site: Site, current: Offer, target: Offer, state: State, snapshot: tuple[SavedFile, ...]) -> Plan:
    """Back to a release that lies here. The newer database and configuration are kept aside."""
    layout, record = site.layout, state.release(target.version)
    kept = layout.kept(site.run)
    backup = record.database_backup if record else None
    left = state.current_record.model_copy(
        update={
            "database_backup": str(kept / "database.sqlite") if current.manifest.server.database else None,
            "config_snapshot": str(kept / "config/files.json"),
        }
    )
    releases = tuple(left if each.version == left.version else each for each in state.releases)
    update = {
        "current": target.version,
        "releases": releases,
        "units": tuple(unit.name for unit in target.units),
        "links": tuple(str(link.path) for link in links_of(layout, target)),
    }
    database = current.manifest.server.database
    restored = (
        RestoreDatabase(
            database=layout.data_dir / database.path,
            backup=Path(backup),
            reason=f"as it was when {target.version} was left",
        )
        if database and backup
        else None
    )
    steps: list[AnyStep] = [
        *_stop(state.units, "nothing may write while the database is put back"),
        *_database_backup(site, current, "the newer data is kept aside"),
        *([restored] if restored else []),
        _keep_config(kept, {*left.config, *(record.config if record else ())}),
        RestoreFiles(what="the configuration", files=snapshot, reason=f"as it was when {target.version} was left"),
        *_images(layout, target),
        *_units(layout, target, state.units),
        _links_step(layout, target, state.links),
        _switch(layout, target),
        RecordState(path=layout.state_file, state=_body(state.model_copy(update=update)), reason="what is installed"),
        *_start(target, wanted=site.active),
    ]
    return _plan("rollback", site, target, steps)


def plan_uninstall(site: Site, offer: Offer, state: State, removable: tuple[Nevra, ...], *, purge: bool) -> Plan:
    """Remove the product; with `purge` also configuration, data, logs and user."""
    layout = site.layout
    admissions = [step.admission for step in _ssh_keys(site, offer) if step.admission]
    links = (*(Path(link) for link in state.links), layout.ctl)
    steps: list[AnyStep] = [
        *_stop(state.units, "the product goes"),
        *_remove_packages(offer, removable),
        *_remove_units(layout, state.units),
        *(RevokeSshKey(admission=admission, reason="it is let in no longer") for admission in admissions),
        MakeLinks(remove=links, reason="the product's commands"),
        RecordState(path=layout.state_file, state=None, reason="nothing is installed after this"),
        RemoveTrees(
            what="what was installed",
            paths=(layout.current, layout.releases, layout.images_dir),
            empty=(layout.prefix,),
            reason="nothing runs from there any longer",
        ),
    ]
    if purge:
        paths = (layout.config_dir, layout.log_dir)
        user = offer.manifest.user if state.user_created else None
        steps.append(RemoveTrees(what="configuration and logs", paths=paths, user=user, reason="--purge was given"))
    return _plan("uninstall", site, offer, steps)


def _plan(mode: Mode, site: Site, offer: Offer, steps: Iterable[AnyStep]) -> Plan:
    return Plan(mode, site.layout.product, offer.version, site.run, tuple(steps))


def _body(state: State) -> dict[str, object]:
    body: dict[str, object] = json.loads(state.to_text())
    return body


def _digests(offer: Offer) -> dict[str, str]:
    return {str(file.path): file.digest for file in offer.config}


def _packages(offer: Offer, chosen: Chosen) -> list[AnyStep]:
    if not offer.has_packages:
        return []
    where = f"mirror {chosen.mirror}" if chosen.mirror else "the bundle"
    wanted = offer.manifest.repository.packages
    return [
        InstallPackages(
            wanted=wanted,
            repositories=chosen.repositories,
            release=offer.release,
            older=chosen.older,
            reason=f"from {where}",
        )
    ]


def _remove_packages(offer: Offer, packages: tuple[Nevra, ...]) -> list[AnyStep]:
    if not packages:
        return []
    reason = "installs of this product brought them, and nothing else needs them"
    bundle = bundle_repository(offer.manifest, offer.release)
    return [RemovePackages(packages=packages, repositories=bundle, release=offer.release, reason=reason)]


def _remove_units(layout: Layout, units: tuple[str, ...]) -> list[AnyStep]:
    if not units:
        return []
    return [InstallUnits(folder=layout.units_dir, units=(), remove=units, reason="the product's units")]


def _venv(offer: Offer) -> MakeVenv:
    return MakeVenv(
        venv=offer.release / "venv",
        wheels=offer.release / "wheels/server",
        requirements=offer.release / "wheels/server/requirements.txt",
        pip=offer.release / offer.pip,
        reason="the server runs in an environment of its own",
    )


def _folders(layout: Layout, offer: Offer) -> MakeFolders:
    user = offer.manifest.user
    return MakeFolders(
        folders=(
            Folder(layout.config_dir, 0o750, user, group_only=True),
            Folder(layout.data_dir, 0o750, user, keep=(layout.state_dir.name,)),
            Folder(layout.log_dir, 0o750, user, keep=("install-*.log",)),
        ),
        reason="configuration, data and logs live outside the release",
    )


def _keyring(site: Site) -> list[AnyStep]:
    if not site.keys:
        return []
    return [WriteFiles(what="the host's keyring", files=site.keys, reason="later bundles must be signed by these keys")]


def _secrets(layout: Layout, chosen: Chosen) -> list[AnyStep]:
    if not chosen.generated:
        return []
    return [WriteSecrets(folder=layout.config_dir, names=chosen.generated, reason="made for this host")]


def _ssh_keys(site: Site, offer: Offer) -> list[MakeSshKey]:
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


def _config(offer: Offer, files: tuple[RenderedConfig, ...]) -> list[AnyStep]:
    if not files:
        return []
    return [WriteConfig(files=files, user=offer.manifest.user, reason="an edited file stays as it is")]


def _keep_config(kept: Path, paths: set[str]) -> KeepConfig:
    return KeepConfig(
        paths=tuple(Path(path) for path in sorted(paths)),
        listing=kept / "config/files.json",
        reason="for a rollback after success",
    )


def _images(layout: Layout, offer: Offer) -> list[AnyStep]:
    if not offer.images:
        return []
    return [RegisterImages(folder=layout.images_dir, images=offer.images, reason="the product looks for them there")]


def _database_backup(site: Site, offer: Offer, reason: str) -> list[AnyStep]:
    database = offer.manifest.server.database
    if database is None:
        return []
    backup = site.layout.kept(site.run) / "database.sqlite"
    return [BackUpDatabase(database=site.layout.data_dir / database.path, backup=backup, reason=reason)]


def _commands(layout: Layout, offer: Offer, *, first: bool) -> list[AnyStep]:
    user, cwd = offer.manifest.user, layout.data_dir
    steps: list[AnyStep] = []
    if offer.migrate is not None:
        reason = "the database gets this release's schema"
        steps.append(RunCommand(what="migrate the database", argv=offer.migrate, user=user, cwd=cwd, reason=reason))
    for each in offer.setup:
        if first or not each.on_install_only:
            reason = "the product asks for it"
            steps.append(RunCommand(what="set up", argv=each.argv, user=user, cwd=cwd, stdin=each.stdin, reason=reason))
    return steps


def _units(layout: Layout, offer: Offer, before: tuple[str, ...]) -> list[AnyStep]:
    gone = tuple(name for name in before if name not in {unit.name for unit in offer.units})
    if not offer.units and not gone:
        return []
    return [InstallUnits(folder=layout.units_dir, units=offer.units, remove=gone, reason="systemd runs the product")]


def links_of(layout: Layout, offer: Offer) -> tuple[Link, ...]:
    """Links to the product's commands."""
    venv = layout.current / "venv/bin"
    return tuple(Link(layout.commands_dir / name, str(venv / name)) for name in offer.manifest.server.commands)


def _links_step(layout: Layout, offer: Offer, before: tuple[str, ...]) -> MakeLinks:
    links = links_of(layout, offer)
    now = {str(link.path) for link in links}
    return MakeLinks(
        links=links,
        wrapper=layout.ctl,
        wrapper_content=offer.ctl,
        remove=tuple(Path(path) for path in before if path not in now),
        reason="what operators call",
    )


def _switch(layout: Layout, offer: Offer) -> Switch:
    target = f"releases/{offer.version}"
    return Switch(current=layout.current, target=target, reason="from here on this release is the current one")


def _stop(units: tuple[str, ...], reason: str) -> list[AnyStep]:
    units = tuple(unit for unit in units if "@." not in unit)
    return [StopUnits(units=units, reason=reason)] if units else []


def _start(offer: Offer, *, wanted: bool) -> list[AnyStep]:
    if not wanted or not offer.startable:
        return []
    units, health = offer.startable, offer.manifest.server.health
    steps: list[AnyStep] = [StartUnits(units=units, reason="the product is to run")]
    if health is not None and offer.health_url is not None:
        steps.append(AwaitHealth(url=offer.health_url, timeout=health.timeout, units=units, reason="else it is undone"))
    return steps
