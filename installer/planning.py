"""The planners. Pure: values in, a plan out; nothing is looked at and nothing is written."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from installer import data, parts
from installer.offer import Offer
from installer.parts import Chosen, Site
from installer.plan import Mode, Plan
from installer.state import ReleaseRecord, State
from installer.steps import (
    AnyStep,
    MakeLinks,
    MakeUser,
    RecordState,
    RemoveTrees,
    RestoreFiles,
    RevokeSshKey,
)
from installer.steps.saved import SavedFile
from repos.nevra import Nevra


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
        bundle_first=chosen.bundle_first,
        answers=dict(chosen.values),
        units=tuple(unit.name for unit in offer.units),
        links=tuple(str(link.path) for link in parts.links_of(layout, offer)),
        user_created=not user_exists,
    )
    steps: list[AnyStep] = [
        parts.stage(site, offer, "the release goes beside whatever runs"),
        MakeUser(user=offer.manifest.user, home=layout.data_dir, reason="owns the data and runs the commands"),
        *parts.packages(offer, chosen),
        *parts.environment(offer),
        parts.folders(layout, offer),
        *parts.keyring(site),
        *parts.secrets(layout, chosen),
        *parts.ssh_keys(site, offer),
        *data.backup(site, offer, "data of an earlier install may lie here"),
        *parts.config(offer, offer.config),
        *parts.images(layout, offer),
        *data.migration(layout, offer, first=True),
        *parts.commands(layout, offer, first=True),
        *parts.units(layout, offer, ()),
        *parts.kernel(site, offer),
        *parts.firewall(site, offer),
        parts.links(layout, offer, ()),
        parts.switch(layout, offer),
        RecordState(path=layout.state_file, state=_body(state), release=offer.release, reason="what is installed"),
        *parts.start(offer, wanted=site.start),
    ]
    return _plan("install", site, offer, steps)


def plan_upgrade(site: Site, offer: Offer, chosen: Chosen, state: State, newer: Offer | None = None) -> Plan:
    """An upgrade, or with the installed `newer` release a downgrade that keeps the data.

    All that takes time happens before the old release is stopped; while it is stopped, only what must.
    """
    layout = site.layout
    old = state.current_record
    kept = layout.kept(site.run)
    left = _left(old, offer, kept)
    record = ReleaseRecord(version=offer.version, installed_at=site.stamp, bundle=offer.bundle, config=_digests(offer))
    others = tuple(each for each in state.releases if each.version not in {old.version, offer.version})
    update = {
        "current": offer.version,
        "releases": (*others, left, record),
        "mirror": chosen.mirror,
        "bundle_first": chosen.bundle_first,
        "answers": {**state.answers, **chosen.values},  # a release that lies here may need those of before
        "units": tuple(unit.name for unit in offer.units),
        "links": tuple(str(link.path) for link in parts.links_of(layout, offer)),
    }
    config = tuple(replace(file, base=chosen.shipped.get(file.path)) for file in offer.config)
    packages = parts.packages(offer, chosen)
    needed = bool(chosen.outlook.preview.changes)  # then the new programs may need them
    steps: list[AnyStep] = [
        parts.stage(site, offer, "the new release goes beside the running one"),
        *(packages if needed else []),
        *parts.environment(offer),
        *(data.rehearsal(site, offer) if newer is None else data.dump(site, offer, "before its schema goes back")),
        *([] if needed else packages),
        *parts.keyring(site),
        *parts.secrets(layout, chosen),
        *parts.ssh_keys(site, offer),
        *parts.images(layout, offer),
        *parts.kernel(site, offer),
        *parts.firewall(site, offer),
        parts.keep_config(kept, {*old.config, *record.config}),
        *parts.stop(state.units, "nothing may write while the database is copied"),
        *data.backup(site, offer, "a failure from here on puts it back"),
        *data.downgrade(layout, newer),
        *parts.config(offer, config),
        *data.migration(layout, offer),
        *parts.commands(layout, offer, first=False),
        *parts.units(layout, offer, state.units),
        parts.switch(layout, offer),
        *parts.start(offer, wanted=site.start and site.active),
        parts.links(layout, offer, state.links),
        RecordState(
            path=layout.state_file,
            state=_body(state.model_copy(update=update)),
            release=offer.release,
            reason="what is installed",
        ),
    ]
    return _plan("upgrade" if newer is None else "downgrade", site, offer, steps)


def plan_repair(site: Site, offer: Offer, chosen: Chosen, state: State, *, venv: bool) -> Plan:
    """The same version again, when something of it is missing or damaged. Services are left as they are."""
    layout = site.layout
    steps: list[AnyStep] = [
        parts.stage(site, offer, "files of the release are missing or damaged", repair=True),
        *parts.packages(offer, chosen),
        *(parts.environment(offer) if venv else []),
        *parts.ssh_keys(site, offer),
        *parts.images(layout, offer),
        *parts.units(layout, offer, state.units),
        *parts.kernel(site, offer),
        *parts.firewall(site, offer),
        parts.links(layout, offer, state.links),
        parts.switch(layout, offer),
    ]
    return _plan("repair", site, offer, steps)


def plan_rollback(
    site: Site, current: Offer, target: Offer, state: State, snapshot: tuple[SavedFile, ...], *, elsewhere: bool
) -> Plan:
    """Back to a release that lies here. The newer database and configuration are kept aside.

    With the data `elsewhere`, where no copy was made of it, the newer of the two releases changes its schema.
    """
    layout, record = site.layout, state.release(target.version)
    kept = layout.kept(site.run)
    backup = record.database_backup if record else None
    left = _left(state.current_record, current, kept)
    releases = tuple(left if each.version == left.version else each for each in state.releases)
    update = {
        "current": target.version,
        "releases": releases,
        "units": tuple(unit.name for unit in target.units),
        "links": tuple(str(link.path) for link in parts.links_of(layout, target)),
    }
    if elsewhere:
        newer = target.version > current.version
        back = data.migration(layout, target) if newer else data.downgrade(layout, current)
    else:
        back = data.restore(layout, current, backup, f"as it was when {target.version} was left")
    steps: list[AnyStep] = [
        parts.keep_config(kept, {*left.config, *(record.config if record else ())}),
        *parts.images(layout, target),
        *parts.kernel(site, target),
        *parts.firewall(site, target),
        *data.dump(site, current, "before its schema changes"),
        *parts.stop(state.units, "nothing may write while the database is put back"),
        *data.backup(site, current, "the newer data is kept aside"),
        *back,
        RestoreFiles(what="the configuration", files=snapshot, reason=f"as it was when {target.version} was left"),
        *parts.units(layout, target, state.units),
        parts.switch(layout, target),
        *parts.start(target, wanted=site.active),
        parts.links(layout, target, state.links),
        RecordState(path=layout.state_file, state=_body(state.model_copy(update=update)), reason="what is installed"),
    ]
    return _plan("rollback", site, target, steps)


def plan_uninstall(site: Site, offer: Offer, state: State, removable: tuple[Nevra, ...], *, purge: bool) -> Plan:
    """Remove the product; with `purge` also configuration, data, logs and user."""
    layout = site.layout
    admissions = [step.admission for step in parts.ssh_keys(site, offer) if step.admission]
    links = (*(Path(link) for link in state.links), layout.ctl, layout.completion)
    steps: list[AnyStep] = [
        *parts.stop(state.units, "the product goes"),
        *parts.farewell(layout, offer),
        *parts.remove_packages(offer, removable),
        *parts.remove_units(layout, state.units),
        *parts.close_ports(site),
        *parts.forget_kernel(site),
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


def plan_prune(site: Site, state: State, going: tuple[ReleaseRecord, ...], paths: tuple[Path, ...]) -> Plan:
    """Forget the releases `going`, and remove their `paths` once that is written down."""
    stay = tuple(record for record in state.releases if record not in going)
    steps: tuple[AnyStep, ...] = (
        RecordState(
            path=site.layout.state_file,
            state=_body(state.model_copy(update={"releases": stay})),
            reason="nobody is to go back to what is not there",
        ),
        RemoveTrees(what="releases, and what was kept for them", paths=paths, reason="nothing runs from there"),
    )
    return Plan("prune", site.layout.product, state.current, site.run, steps)


def _plan(mode: Mode, site: Site, offer: Offer, steps: Iterable[AnyStep]) -> Plan:
    return Plan(mode, site.layout.product, offer.version, site.run, tuple(steps))


def _left(record: ReleaseRecord, offer: Offer, kept: Path) -> ReleaseRecord:
    """`record` of a release that the host leaves; what going back to it needs is in `kept`."""
    backup = str(kept / "database.sqlite") if offer.manifest.server.database else None
    return record.model_copy(update={"database_backup": backup, "config_snapshot": str(kept / "config/files.json")})


def _body(state: State) -> dict[str, object]:
    body: dict[str, object] = json.loads(state.to_text())
    return body


def _digests(offer: Offer) -> dict[str, str]:
    return {str(file.path): file.digest for file in offer.config}
