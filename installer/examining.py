"""Look at the host for a run: gather facts, see what is taken, examine it all."""

from __future__ import annotations

import os
from pathlib import Path

from installer.facts.gather import gather
from installer.facts.model import Facts, Wanted
from installer.layout import Layout
from installer.offer import Offer
from installer.parts import links_of
from installer.plan import Mode
from installer.preflight import Result, Subject, Taken, examine
from installer.preflight.disk import TEMP_FOLDER
from installer.preflight.software import wanted_tools
from installer.session import Session
from payload.events import stage
from repos.preview import NO_CHANGE, Preview

_PACKAGED_UNITS = Path("usr/lib/systemd/system")


def look(session: Session, offer: Offer) -> Facts:
    """The facts about this host that checks and plans for `offer` need. Changes nothing."""
    layout, manifest = session.layout, offer.manifest
    wants = manifest.preflight
    wanted = Wanted(
        paths=(layout.prefix, layout.images_dir, layout.root / "usr", layout.state_dir, layout.root / TEMP_FOLDER),
        users=(manifest.user, *(key.authorize for key in manifest.ssh_keys if key.authorize)),
        tools=tuple(wanted_tools(offer)),
        ports=wants.ports,
        modules=wants.kernel_modules,
        settings=tuple(each.key for each in offer.settings),
        conflicts=wants.conflicts,
        virtualization=wants.virtualization,
        programs={check.id: check.command for check in wants.check if check.command},
    )
    with stage(session.sink, "facts", "look at the host"):
        return gather(session.host, layout.root, wanted)


def examine_host(
    session: Session,
    mode: Mode,
    offer: Offer,
    facts: Facts,
    *,
    preview: Preview = NO_CHANGE,
    packages: bool,
    dump_size: int = 0,
) -> tuple[Result, ...]:
    """The results of all checks of a run; `packages`: some have to be installed, as far as is known by `preview`.
    `dump_size`: see `Subject`."""
    layout = session.layout
    database = offer.manifest.server.database
    path = layout.data_dir / database.path if database else None
    return examine(
        Subject(
            mode=mode,
            facts=facts,
            layout=layout,
            offer=offer,
            created=session.bundle.index.created,
            state=session.state,
            database_size=path.stat().st_size if path and path.is_file() else 0,
            dump_size=dump_size,
            taken=taken(session, offer),
            packages_to_install=packages,
            preview=preview,
        )
    )


def taken(session: Session, offer: Offer) -> Taken:
    """What of somebody else lies where the product wants to be."""
    layout, state = session.layout, session.state
    ours = {*(state.links if state else ()), *([str(layout.ctl)] if state else [])}
    commands = [str(link.path) for link in links_of(layout, offer)] + [str(layout.ctl)]
    known = set(state.units) if state else set()
    units = [
        str(folder / unit.name) for unit in offer.units for folder in _unit_folders(layout, ours=unit.name in known)
    ]
    return Taken(
        commands=tuple(path for path in commands if os.path.lexists(path) and path not in ours),
        units=tuple(path for path in units if os.path.lexists(path)),
        releases=() if state or not os.path.lexists(layout.current) else (str(layout.prefix),),
    )


def _unit_folders(layout: Layout, *, ours: bool) -> tuple[Path, ...]:
    packaged = layout.root / _PACKAGED_UNITS
    return (packaged,) if ours else (layout.units_dir, packaged)
