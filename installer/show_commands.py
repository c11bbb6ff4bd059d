"""The commands that show what a bundle is, whatever the host: they need little, so they start fast."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path

from installer import screen, views
from installer.opened import Opened, open_verified
from installer.request import Action, Request
from installer.views import View
from payload.errors import ExitCode

_VIEWS: Mapping[Action, Callable[[Opened], View]] = {
    "version": views.version,
    "info": views.info,
    "list": views.listing,
    "sbom": views.sbom,
    "provenance": views.provenance,
    "check": views.check,
    "extract": views.extract,
}


def run(request: Request, bundle: Path) -> ExitCode:
    """Carry out `request` with the file `bundle` and print the result.

    Raises:
        SealiftError: the bundle is damaged or not trusted, or the request does not fit.
    """
    with screen.events(request) as sink:
        someone = screen.dialogue(request)
        opened = open_verified(request, bundle, sink, someone.confirm_keys if someone else None)
        if request.cat is not None:
            sys.stdout.buffer.writelines(opened.bundle.chunks(request.cat))
            return ExitCode.OK
        view = _VIEWS[request.action](opened)
    screen.show(view, request.json)
    return ExitCode.OK
