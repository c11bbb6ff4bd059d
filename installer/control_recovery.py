"""What the control commands do with a run that was cut off."""

from __future__ import annotations

from installer.installed import Installed
from installer.lock import exclusive
from installer.recovery import obstacle, unfinished
from installer.resuming import check_resumable, go_on, nothing_to_do, put_back, waiting_run
from payload.digest import Digest


def gone_on(installed: Installed, asked: Digest) -> tuple[str, ...]:
    """The report, if the command that `asked` stands for was cut off, and went on now; else empty.

    Raises:
        SealiftError: it failed; the type says what became of the host.
    """
    cut = waiting_run(installed.layout)
    if cut is None or cut.begun.asked != asked or obstacle(cut, None):
        return ()
    return go_on(cut, installed.layout, installed.host, lambda _: installed.host)


def resume(installed: Installed) -> tuple[str, ...]:
    """Go on with the control command that was cut off.

    Raises:
        UsageError: it was a bundle's run, which needs that bundle.
        SealiftError: it failed; the type says what became of the host.
    """
    if not unfinished(installed.layout):
        return nothing_to_do(installed.layout)
    with exclusive(installed.layout):
        cut = waiting_run(installed.layout)
        if cut is None:
            return put_back(installed.layout, installed.host)
        ctl = installed.layout.ctl.name
        remedy = f"bash BUNDLE --resume, with that bundle; or put the run back: {ctl} undo"
        check_resumable(cut, obstacle(cut, None), remedy)
        return go_on(cut, installed.layout, installed.host, lambda _: installed.host)


def undo(installed: Installed) -> tuple[str, ...]:
    """Put back what was cut off.

    Raises:
        SealiftError: it could not be.
    """
    if not unfinished(installed.layout):
        return nothing_to_do(installed.layout)
    with exclusive(installed.layout):
        return put_back(installed.layout, installed.host)
