"""Work in ordered steps, each with its undo: when one fails, those before it are undone in reverse.

Steps share a context: plain JSON values under names that the steps agree on, so that it can be stored. Steps and
undos may be run twice, by a server that died in between and started again.
"""

import logging
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from management.deadlines import grace
from management.server.timeouts import check_time

if TYPE_CHECKING:
    from management.server.node import Node

log = logging.getLogger(__name__)

UNDO_SECONDS = 15.0

Context = dict[str, Any]
Work = Callable[["Node", Context], None]


@dataclass(frozen=True, slots=True)
class Step:
    """`run` and `undo` read the context and add to it. A step without an undo leaves nothing behind.

    Once a step that is `final` is done there is no way back: the steps after it are done even when the time is over, in
    a grace, and nothing is undone.
    """

    name: str
    run: Work
    undo: Work | None = None
    final: bool = False


def run_flow(node: "Node", steps: Sequence[Step], context: Context) -> Context:
    """Run `steps` in order and return the context. When the time is over no step begins; what is undone has a grace.

    Raises:
        Exception: what the failing step raised. Everything before it is undone then; an undo that fails is logged,
            and the others still run.
    """
    settled = False
    for number, step in enumerate(steps):
        try:
            with grace(UNDO_SECONDS) if settled else nullcontext():
                check_time()
                step.run(node, context)
            settled = settled or step.final
        except Exception:
            if settled:
                raise
            # The failing step is undone too: it may have got half way.
            with grace(UNDO_SECONDS):
                for done in reversed(steps[: number + 1]):
                    _undo(node, done, context)
            raise
    return context


def _undo(node: "Node", step: Step, context: Context) -> None:
    if step.undo is None:
        return
    try:
        step.undo(node, context)
    except Exception:
        # Whatever it was, the steps before this one have to be undone still.
        log.exception("step %s was not undone", step.name)
