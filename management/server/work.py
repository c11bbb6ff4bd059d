"""Durable calls: what was accepted is recorded first, and is finished or reported failed, whatever dies in between.

The engine is DBOS, in the server's own database. A call is a workflow of two steps. `begin` records which node runs it;
`answer` runs the handler and records its answer. A call that another node began may have been half done there: it runs
again only when its message says that this is harmless, and is reported failed otherwise.

Calls on one resource run one after the other, on whatever node; nodes take calls from one queue. Secrets are never
recorded: a call that has some is begun at once by the node that accepted it, which alone has them, in its memory.

While nodes are upgraded, those of the newest release do the work: a call is recorded without a version, and the
engine gives such calls to the version that was made its latest. A node of an older release still accepts calls, and
answers for all of them. What is recorded of a call is its message, which is the API: a newer node can run it.

A call has a deadline from the moment it is accepted. One whose turn has not come by then is taken out of the queue; one
that runs is to end itself, and is given up by the engine when it has not done so long after.
"""

import logging
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from dbos import (
    DBOS,
    DBOSConfig,
    EnqueueOptions,
    SetWorkflowAttributes,
    SetWorkflowID,
    SetWorkflowTimeout,
    WorkflowStatus,
)
from sqlalchemy import bindparam, text

from management.server.clock import now
from management.server.database import Database

APPLICATION = "sealift"
QUEUE, CALL = "calls", "call"
POLL_SECONDS = 0.1
WORKERS = 1000
"""How many calls one node works on at once: they spend their time waiting for hosts, in a thread of about 100 kB."""
DRAIN_SECONDS = 10
PURGE_BATCH = 1000
GRACE_SECONDS = 600
"""What a call that has ended itself at its deadline has for undoing what it began."""
DEADLINE, TIMEOUT = "deadline", "timeout"

Answer = dict[str, Any]
Run = Callable[[str, dict[str, Any], str, float | None], Answer]
"""Answers a call, whose message, fields, address and seconds until its deadline are given. Calls that older releases
have recorded have none."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """An accepted call; times are naive UTC. One that has finished has an answer, or an error of the engine."""

    uuid: str
    created: datetime
    finished: datetime | None = None
    answer: Answer | None = None
    error: str | None = None
    timeout: int | None = None
    """The milliseconds that it may take; calls that older releases have recorded have none."""
    late: bool = False
    """Whether it was given up because its time was over."""


class Work:
    """The engine of one node, whose uuid it carries. A process has one at a time."""

    def __init__(self, database: Database, node_uuid: str, release: str, run: Run, interrupted: Run) -> None:
        """`run` answers a call; `interrupted` answers one that another node began, or runs it again."""
        logger = logging.getLogger("dbos")
        logger.setLevel(logging.WARNING)
        config: DBOSConfig = {
            "name": APPLICATION,
            "system_database_url": database.engine.url.render_as_string(hide_password=False),
            "application_version": release,
            "executor_id": node_uuid,
            "max_executor_threads": WORKERS + 100,
            "log_level": "WARNING",
            "console_log_level": "WARNING",
        }
        DBOS(config=config)
        # One log for the whole server, instead of the engine's own lines.
        logger.handlers.clear()
        logger.propagate = True

        def call(
            wire_name: str, fields: dict[str, Any], address: str, sealed: bool, deadline: int | None = None
        ) -> Answer:
            owner = DBOS.run_step({"name": "begin"}, lambda: node_uuid)
            secrets = self._secrets.pop(str(DBOS.workflow_id), None) if sealed else {}
            whole = owner == node_uuid and secrets is not None
            answer = run if whole else interrupted
            left = None if deadline is None else deadline / 1000 - time.time()
            return DBOS.run_step({"name": "answer"}, answer, wire_name, {**fields, **(secrets or {})}, address, left)

        self._secrets: dict[str, Mapping[str, Any]] = {}
        self._node_uuid = node_uuid
        self._database = database
        self._release = release
        self._call = DBOS.workflow(name=CALL)(call)

    def start(self) -> None:
        """Begin to take calls from the queue."""
        DBOS.launch()
        DBOS.register_queue(
            QUEUE, worker_concurrency=WORKERS, partition_concurrency=1, polling_interval_sec=POLL_SECONDS
        )

    def lead(self) -> None:
        """Have the calls in the queue run by nodes of this release, and by no others, from now on."""
        if DBOS.get_latest_application_version()["version_name"] != self._release:
            DBOS.set_latest_application_version(self._release)

    def accept(
        self,
        call_uuid: str,
        wire_name: str,
        fields: Mapping[str, Any],
        secret: Collection[str],
        address: str,
        *,
        resource: str | None,
        milliseconds: int,
    ) -> Recorded:
        """Record a call from `address`, without those of its fields that are `secret`. It may take `milliseconds`.

        Its uuid is a `next_uuid`. It waits for the calls on the same `resource` that were accepted before it, unless it
        has secrets.
        """
        deadline = int(time.time() * 1000) + milliseconds
        limit = milliseconds / 1000 + GRACE_SECONDS
        times = {DEADLINE: deadline, TIMEOUT: milliseconds}
        accepted = Recorded(call_uuid, now(), timeout=milliseconds)
        secrets = {name: value for name, value in fields.items() if name in secret}
        if secrets:
            public = {name: value for name, value in fields.items() if name not in secret}
            self._secrets[call_uuid] = secrets
            with SetWorkflowID(call_uuid), SetWorkflowAttributes(times), SetWorkflowTimeout(limit):
                DBOS.start_workflow(self._call, wire_name, public, address, True, deadline)
            return accepted
        options: EnqueueOptions = {
            "workflow_name": CALL,
            "queue_name": QUEUE,
            "workflow_id": call_uuid,
            "workflow_timeout": limit,
            "queue_partition_key": resource or call_uuid,
            "attributes": times,
        }
        DBOS.enqueue_workflow_with_options(options, wire_name, dict(fields), address, False, deadline)
        return accepted

    def find(self, call_uuid: str) -> Recorded | None:
        """The call, accepted by whatever node, or None."""
        found = DBOS.list_workflows(workflow_ids=[call_uuid], load_input=False)
        if not found or found[0].created_at is None:
            return None
        (status,) = found
        created, timeout = _moment(found[0].created_at), (status.attributes or {}).get(TIMEOUT)
        if status.status in ("ENQUEUED", "PENDING", "DELAYED"):
            return Recorded(call_uuid, created, timeout=timeout)
        finished = _moment(status.completed_at or status.updated_at or found[0].created_at)
        if status.status == "SUCCESS":
            return Recorded(call_uuid, created, finished, answer=status.output)
        error, late = f"{status.status}: {status.error}", status.status == "CANCELLED"
        return Recorded(call_uuid, created, finished, error=error, timeout=timeout, late=late)

    def give_up(self) -> int:
        """Take the calls out of the queue whose deadline has passed, and say how many there were."""
        waiting = DBOS.list_workflows(status="ENQUEUED", load_input=False, load_output=False)
        moment = now()
        late = [w.workflow_id for w in waiting if (deadline := _deadline(w)) is not None and deadline <= moment]
        if late:
            DBOS.cancel_workflows(late)
        return len(late)

    def adopt(self, living: Collection[str]) -> int:
        """Put the calls of nodes that are not `living` back into the queue. One node at a time may do so.

        Whichever release had begun them, nodes of the newest go on with them. Returns how many there were.
        """
        pending = DBOS.list_workflows(status="PENDING", load_input=False, load_output=False)
        lost = [workflow for workflow in pending if workflow.executor_id not in living]
        if lost:
            with self._database.write() as session:
                session.execute(_UNVERSIONED[self._database.shared], {"ids": [each.workflow_id for each in lost]})
        # A call with secrets came through no queue and has no partition: ours would never hand it out.
        for queue, queued in ((QUEUE, True), (None, False)):
            if group := [each.workflow_id for each in lost if bool(each.queue_name) is queued]:
                DBOS.resume_workflows(group, queue_name=queue)
        return len(lost)

    def purge(self, age: timedelta) -> int:
        """Forget calls that finished longer than `age` ago, and say how many; a call makes a batch at most."""
        before = (datetime.now(UTC) - age).isoformat()
        old = DBOS.list_workflows(completed_before=before, limit=PURGE_BATCH, load_input=False, load_output=False)
        if old:
            DBOS.delete_workflows([workflow.workflow_id for workflow in old])
        return len(old)

    def close(self) -> None:
        """Take no more calls, and wait a while for those that run. Whatever is left then is adopted later."""
        running = DBOS.list_workflows(status="PENDING", executor_id=self._node_uuid, load_input=False)
        DBOS.destroy(workflow_completion_timeout_sec=DRAIN_SECONDS if running else 0)


_UNVERSIONED = {
    shared: text(
        f"UPDATE {table} SET application_version = NULL WHERE status = 'PENDING' AND workflow_uuid IN :ids"  # noqa: S608
    ).bindparams(bindparam("ids", expanding=True))
    for shared, table in {True: "dbos.workflow_status", False: "workflow_status"}.items()
}
"""The engine has no call for this: what one version has begun would wait for that version for ever."""


def current_call() -> str:
    """The uuid of the call that this thread runs for."""
    return str(DBOS.workflow_id)


def next_uuid() -> str:
    """A random uuid that begins with the time.

    The engine hands out calls on one resource by the second in which they were accepted (SQLite), then by uuid: so
    they keep their order.
    """
    return f"{int(time.time() * 1000):012x}{uuid.uuid4().hex[12:]}"


def _deadline(status: WorkflowStatus) -> datetime | None:
    found = (status.attributes or {}).get(DEADLINE)
    return None if found is None else _moment(found)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).replace(tzinfo=None)
