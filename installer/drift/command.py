"""`<product>-ctl verify`."""

from __future__ import annotations

from installer.control import Installed
from installer.drift.verify import verify
from installer.drift.views import verified_view
from installer.views import View
from payload.errors import ExitCode


def verified(installed: Installed) -> tuple[View, ExitCode]:
    """Say what drifted, and the exit code for it.

    Raises:
        IntegrityError: nothing can be told, since the list of what was installed is damaged.
    """
    found = verify(installed)
    return verified_view(installed.layout, found), ExitCode.INTEGRITY if found.drift else ExitCode.OK
