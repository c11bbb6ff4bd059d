"""The commands that look at the host, and the one that changes it."""

from __future__ import annotations

import os
from pathlib import Path

import typer

from installer import cut_off, flow, host_views, screen
from installer.lock import require_root
from installer.preflight.report import html_report, reported_host
from installer.request import Request
from installer.session import Session, open_session
from installer.views import View
from payload.errors import ExitCode


def run(request: Request, bundle: Path) -> ExitCode:
    """Carry out `request` with the file `bundle` and print the result.

    Raises:
        SealiftError: it was refused, or failed; the type says what became of the host.
    """
    with screen.events(request) as sink:
        session = open_session(request, bundle, sink, screen.dialogue(request))
        if request.action == "install":
            lines = flow.install(session)
        elif request.action in {"resume", "undo"}:
            require_root()
            lines = cut_off.finish(session)
        else:
            return _look(session)
    typer.echo("\n".join(lines))
    return ExitCode.OK


def _look(session: Session) -> ExitCode:
    if session.request.action == "plan":
        screen.show(host_views.plan(session), session.request.json)
        return ExitCode.OK
    if session.request.action == "dry-run":
        view, _ = host_views.dry_run(session, os.environ)
        screen.show(view, session.request.json)
        return ExitCode.OK
    report = host_views.preflight(session, os.environ)
    if session.request.report is not None:
        title = f"{session.bundle.index.manifest.product.title} {report.version}"
        screen.write(session.request.report, html_report(title, (reported_host(report),)))
    screen.show(View(report.body(), report.lines()), session.request.json)
    return ExitCode.OK if report.fits else ExitCode.PREFLIGHT
