"""A product that lies on this host, and runs that change it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from installer.facts.accounts import homes
from installer.layout import Layout
from installer.lock import check_private, require_root
from installer.logged import Done, run_logged
from installer.offer import Offer, installed_offer
from installer.parts import Site
from installer.plan import Plan
from installer.recovery import unfinished
from installer.resuming import put_back
from installer.session import new_run
from installer.state import ReleaseRecord, State, load_state
from installer.steps import Host, Runner
from installer.steps.service import active_units
from installer.surroundings import look_around
from payload import effects
from payload.digest import Digest
from payload.errors import UsageError
from payload.events import Note, Sink
from payload.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Installed:
    """An installed product."""

    layout: Layout
    state: State
    host: Host
    sink: Sink

    def offer(self, version: object | None = None, *, downgrade_to: object = "") -> Offer:
        """A release that lies here; the current one unless told. `downgrade_to`: where its `downgrade` leads."""
        record = self.record(self.state.current if version is None else version)
        return installed_offer(
            self.layout, record.version, record.bundle, self.state.answers, downgrade_to=downgrade_to
        )

    def record(self, version: object) -> ReleaseRecord:
        """The record of a release.

        Raises:
            UsageError: it does not lie here.
        """
        record = self.state.release(version)
        if record is None:
            known = ", ".join(str(each.version) for each in self.state.releases)
            raise UsageError("release-unknown", f"there is no release {version} here", details=f"there are: {known}")
        return record


def find(product: str, sink: Sink, *, root: Path = Path("/"), run: Runner = effects.run) -> Installed:
    """The product on this host.

    Raises:
        UsageError: it is not installed, or the caller is not root.
    """
    require_root()
    layout = Layout.of(product, root=root)
    check_private(layout.state_dir)
    state = load_state(layout)
    if state is None:
        raise UsageError("nothing-installed", f"{product} is not installed on this host")
    layout = Layout.of(product, Path(state.prefix), root)
    return Installed(layout, state, Host(scratch=layout.state_dir, sink=sink, run=run), sink)


def site_of(installed: Installed, manifest: Manifest | None = None) -> Site:
    """What planners know about this host, and a name for a new run. `manifest`: the current release's, if at hand."""
    units = tuple(unit for unit in installed.state.units if "@." not in unit)
    manifest = manifest or installed.offer().manifest
    users = {key.authorize for key in manifest.ssh_keys if key.authorize}
    around = look_around(installed.layout, installed.host, wants_ports=bool(manifest.firewall))
    return Site(
        layout=installed.layout,
        run=new_run(installed.layout),
        stamp=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        homes=homes(users, installed.host),
        active=bool(active_units(units, installed.host)),
        surroundings=around,
    )


def carry_out(installed: Installed, plan: Plan, confirm: Callable[[Plan], bool], asked: Digest | None = None) -> Done:
    """Ask, and run `plan` under the lock that the caller holds. `asked` stands for the command, if it can go on later.

    Raises:
        UsageError: the operator declined.
        SealiftError: it failed; the type says what became of the host.
    """
    if not confirm(plan):
        raise UsageError("declined", "nothing was changed", remedy="run it again when you are ready; -y does not ask")
    return run_logged(plan, installed.layout, installed.host, asked=asked)


def recovered(installed: Installed) -> Installed:
    """The product after what an earlier run left was put right, under the lock that the caller holds.

    Raises:
        SealiftError: it could not be.
    """
    if not unfinished(installed.layout):
        return installed
    installed.sink.emit(Note("an earlier run was cut off; putting that right first", "warning"))
    for line in put_back(installed.layout, installed.host):
        installed.sink.emit(Note(line))
    return find(installed.layout.product, installed.sink, root=installed.layout.root, run=installed.host.run)
