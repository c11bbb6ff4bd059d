"""What the control commands share: the installed product, and asking before something is changed."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from installer.dialogue import at_terminal, on_terminal
from installer.installed import Installed, find
from installer.plan import Plan
from payload.errors import UsageError
from payload.events import Note, Sink
from payload.output import sink_for
from payload.trust import PublicKey

Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask.")]
Json = Annotated[bool, typer.Option("--json", help="As JSON.")]


@contextmanager
def installed_product(product: str, *, quiet: bool = False) -> Iterator[Installed]:
    """The product on this host, whose events go to stderr.

    Raises:
        UsageError: it is not installed, or the caller is not root.
    """
    sink = sink_for(sys.stderr, quiet=quiet)
    try:
        yield find(product, sink)
    finally:
        sink.close()


def asker(sink: Sink, yes: bool) -> Callable[[Plan], bool]:
    """What changes an installed product asks first; without a terminal only -y goes on."""

    def ask(plan: Plan) -> bool:
        if yes:
            return True
        if not on_terminal():
            raise UsageError("not-confirmed", "nobody is there to confirm", remedy="give -y to go on without asking")
        for line in plan.lines():
            sink.emit(Note(line))
        return at_terminal().confirm(_question(plan))

    return ask


def confirm_key(key: PublicKey) -> bool:
    """Ask whether a backup was signed by the right host."""
    question = f"The archive was signed by {key.fingerprint}. Did the backup say so when it was made?"
    return at_terminal().confirm(question)


def _question(plan: Plan) -> str:
    if plan.mode == "prune":
        return f"remove these releases of {plan.product} now?"
    if plan.mode == "restore":
        return f"replace configuration and data of {plan.product} {plan.version} now?"
    to = "to " if plan.mode == "rollback" else ""
    return f"{plan.mode} {to}{plan.product} {plan.version} now?"
