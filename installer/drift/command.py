"""`<product>-ctl verify`, with `--repair` and without."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from installer.drift.mending import plan_mending
from installer.drift.verify import verify
from installer.drift.views import verified_view
from installer.installed import Installed, carry_out, find, recovered, site_of
from installer.lock import exclusive
from installer.plan import Plan
from installer.views import View
from payload.errors import ExitCode
from payload.events import Note


def verified(installed: Installed) -> tuple[View, ExitCode]:
    """Say what drifted, and the exit code for it.

    Raises:
        IntegrityError: nothing can be told, since the list of what was installed is damaged.
    """
    found = verify(installed)
    return verified_view(installed.layout, found), ExitCode.INTEGRITY if found.drift else ExitCode.OK


def repaired(installed: Installed, confirm: Callable[[Plan], bool]) -> tuple[View, ExitCode]:
    """Put back what can be had from this host, and say what differs then.

    Raises:
        IntegrityError: nothing can be told, since the list of what was installed is damaged.
        UsageError: the operator declined.
        SealiftError: putting back failed; the type says what became of the host.
    """
    layout = installed.layout
    with exclusive(layout):
        installed = recovered(installed)
        found = verify(installed)
        if found.offer is None:
            installed.sink.emit(Note("templates of the release are damaged: its bundle has to come first", "warning"))
            return verified_view(layout, found), ExitCode.INTEGRITY
        plan = plan_mending(site_of(installed, found.offer.manifest), found.offer, found.findings)
        if plan is not None:
            carry_out(installed, plan, confirm)
            found = verify(find(layout.product, installed.sink, root=layout.root, run=installed.host.run))
    view = verified_view(layout, found)
    if plan is not None:
        view = replace(view, lines=(f"{len(plan.steps)} steps were done to put things back.", *view.lines))
    return view, ExitCode.INTEGRITY if found.drift else ExitCode.OK
