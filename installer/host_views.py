"""What a run would find and do on this host, and nothing done: as data for `--json`, and as lines."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from installer.cut_off_views import unfinished_row
from installer.flow import Prepared, prepare
from installer.installed import Installed
from installer.lock import require_root
from installer.outlook import Outlook
from installer.preflight import report_lines
from installer.preflight.report import HostReport, host_report
from installer.recovery import unfinished
from installer.session import Session
from installer.site_plan import site_plan
from installer.views import View
from payload.errors import UsageError


def preflight(session: Session, environment: Mapping[str, str]) -> HostReport:
    """What fits on this host and what does not."""
    prepared = prepare(session, environment)
    return host_report(session.name, prepared.offer.version, socket.gethostname(), prepared.mode, prepared.results)


def dry_run(session: Session, environment: Mapping[str, str]) -> tuple[View, Prepared]:
    """The plan, and nothing done."""
    prepared = prepare(session, environment)
    cut_off = unfinished(session.layout)
    waiting = [unfinished_row(cut, session.layout) for cut in cut_off]
    notes = tuple(f"first {cut.what}, which was cut off, is finished or put back: {cut.path}" for cut in cut_off)
    if prepared.plan is None:
        return View({"mode": prepared.mode, "steps": [], "unfinished": waiting}, (*notes, *prepared.notes)), prepared
    plan = prepared.plan
    head = f"{plan.mode} of {plan.product} {plan.version}: {len(plan.steps)} steps. This is a dry run: nothing is done."
    body = plan.shown() | {"digest": plan.digest, "unfinished": waiting} | _packages(prepared.outlook)
    lines = (*notes, head, *plan.lines(), *prepared.outlook.lines(), *report_lines(prepared.findings))
    return View(body, lines), prepared


def plan(session: Session) -> View:
    """What this host has, for a vendor who builds an upgrade for it.

    Raises:
        UsageError: nothing is installed here, or the caller is not root.
        IntegrityError, CommandError: see `installer.site_plan.site_plan`.
    """
    require_root()
    if session.state is None:
        raise UsageError(
            "nothing-installed",
            f"{session.name} is not installed on this host",
            remedy="a first install needs the full bundle: there is nothing to plan",
        )
    return site_plan(Installed(session.layout, session.state, session.host, session.sink))


def _packages(outlook: Outlook) -> dict[str, Any]:
    preview, ranking = outlook.preview, outlook.ranking
    changes = [
        {"action": change.action, "package": change.nevra.short, "size": change.size} for change in preview.changes
    ]
    return {
        "packages": {
            "changes": changes,
            "irreversible": [nevra.short for nevra in outlook.irreversible],
            "download-size": preview.download_size,
            "installed-size": preview.installed_size,
        },
        "mirrors": None if ranking is None else [probe.body() for probe in ranking.probes],
    }
