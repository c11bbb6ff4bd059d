"""The plan of a restore. Pure."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from installer import parts
from installer.backup.contents import Contents, Top
from installer.layout import Layout
from installer.offer import SHIPPED_FOLDER, Offer
from installer.parts import Site
from installer.plan import Plan
from installer.state import State
from installer.steps import AnyStep, RecordState, RevokeSshKey, RunCommand, SwapContents, UnpackBackup
from installer.steps.unpack_backup import Place
from payload.digest import Digest


@dataclass(frozen=True, slots=True)
class Source:
    """A checked archive: the digest of its list, and the list."""

    archive: Path
    digest: Digest
    contents: Contents


def plan_restore(site: Site, offer: Offer, state: State, source: Source) -> Plan:
    """Replace configuration and data by those of `source`; `offer` is the current release, rendered with its answers.

    Everything is laid beside what runs first. What was there stays aside until the product answers.
    """
    layout, contents = site.layout, source.contents
    swaps = _swaps(layout, offer, site.run, shipped=any(item.top == "shipped" for item in contents.items))
    keys = parts.ssh_keys(site, offer)
    config = {str(layout.config_dir / path): digest for path, digest in contents.config.items()}
    record = state.current_record.model_copy(update={"config": config})
    releases = tuple(record if each.version == record.version else each for each in state.releases)
    update = {"answers": {**state.answers, **contents.answers}, "releases": releases}
    steps: list[AnyStep] = [
        UnpackBackup(
            archive=source.archive,
            contents=source.digest,
            places=tuple(Place(top, swap.new) for top, swap in swaps),
            reason="beside what is there",
        ),
        *parts.stop(state.units, "nothing may write while its data is replaced"),
        *(RevokeSshKey(admission=key.admission, reason="another key comes") for key in keys if key.admission),
        *(swap for _, swap in swaps),
        *keys,
        *parts.images(layout, offer),
        *_set_up(layout, offer),
        *parts.units(layout, offer, state.units),
        RecordState(
            path=layout.state_file,
            state=json.loads(state.model_copy(update=update).to_text()),
            reason="the answers that the configuration was made of",
        ),
        *parts.start(offer, wanted=True),
    ]
    return Plan("restore", layout.product, offer.version, site.run, tuple(steps))


def _swaps(layout: Layout, offer: Offer, run: str, *, shipped: bool) -> list[tuple[Top, SwapContents]]:
    """For each folder of the archive its place, where it is made, and where what was there waits: on one file system
    each, and where only root can write."""
    reason = "what was there waits until the product answers"
    scratch = layout.scratch(run)
    config = SwapContents(
        folder=layout.config_dir,
        new=layout.config_dir / f".restored-{run}",
        aside=layout.config_dir / f".aside-{run}",
        reason=reason,
    )
    data = SwapContents(
        folder=layout.data_dir,
        new=scratch / "restored",
        aside=scratch / "aside",
        keep=(layout.state_dir.name,),
        reason=reason,
    )
    release = SwapContents(
        folder=offer.release / SHIPPED_FOLDER,
        new=offer.release / f".restored-{run}",
        aside=offer.release / f".aside-{run}",
        reason="the next upgrade's merge goes by them",
    )
    swaps: list[tuple[Top, SwapContents]] = [("config", config), ("data", data)]
    return [*swaps, ("shipped", release)] if shipped else swaps


def _set_up(layout: Layout, offer: Offer) -> list[AnyStep]:
    """What every install does, on this host anew. Commands that read a secret are left out: what they made of it is in
    the data. The schema is that of the release already."""
    return [
        RunCommand(
            what="set up",
            argv=each.argv,
            user=offer.manifest.user,
            cwd=layout.data_dir,
            reason="the product asks for it on every host",
        )
        for each in offer.setup
        if each.when == "always" and each.stdin is None
    ]
