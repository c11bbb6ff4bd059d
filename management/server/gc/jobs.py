"""What a collection job is: a kind with named functions, and plain values for one removal."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

if TYPE_CHECKING:
    from management.server.node import Node

Context = dict[str, Any]

EVENT_BASED = "org.zstack.core.gc.EventBasedGCPersistentContext"
TIME_BASED = "org.zstack.core.gc.TimeBasedGCPersistentContext"
RETRY_SECONDS = 5.0
LONGEST_RETRY_SECONDS = 300.0


@dataclass(frozen=True, slots=True)
class Trigger:
    """An event at `path` concerns a job whose context has the same value under `key`."""

    path: str
    key: str


@dataclass(frozen=True)
class JobKind:
    """One kind of removal, known by `runner` in its rows.

    An event is only a hint: a job is run when `due` says so of the inventory as it is, so that it makes no difference
    whether the event came before the job, or on another node. `run` makes the removal; it may run twice, and raises
    ApiError when it has to be tried again. `interval` is in seconds, for a job that polls; without it a failed job is
    tried again after ever longer times, and whenever a trigger fires.
    """

    runner: str
    run: Callable[["Node", Context], None]
    due: Callable[[Session, Context], bool]
    triggers: tuple[Trigger, ...] = ()
    interval: float | None = None

    def __post_init__(self) -> None:
        JOB_KINDS[self.runner] = self

    @property
    def type(self) -> str:
        """How rows call this kind of trigger."""
        return EVENT_BASED if self.interval is None else TIME_BASED

    def pause(self, attempts: int) -> float:
        """Seconds until a job that failed `attempts` times is tried again."""
        if self.interval is not None:
            return self.interval
        return min(LONGEST_RETRY_SECONDS, RETRY_SECONDS * 2.0 ** min(attempts - 1, 16))

    def concerns(self, path: str, facts: Mapping[str, Any], context: Context) -> bool:
        """Whether the event is one that this job waits for."""
        return any(t.path == path and t.key in facts and facts[t.key] == context.get(t.key) for t in self.triggers)


JOB_KINDS: dict[str, JobKind] = {}
"""Every kind of this release by its runner."""
