"""The jobs' rows: submitted in the transaction that leaves something behind, claimed by one node at a time."""

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from management.server.clock import now
from management.server.gc.jobs import JOB_KINDS, Context, JobKind
from management.server.models.gc import GarbageCollectorVO
from management.server.models.system import ManagementNodeVO

MAX_ERROR = 4096


@dataclass(frozen=True, slots=True)
class Job:
    """An unfinished job of a kind that this release knows. `waited` says whether its time has come."""

    uuid: str
    name: str
    kind: JobKind
    context: Context
    waited: bool = True
    attempts: int = 0


def submit(session: Session, kind: JobKind, name: str, context: Context) -> str:
    """Leave a removal to the collection, and return its job's uuid: there is one job of a name until it is done."""
    wanted = select(GarbageCollectorVO.uuid).where(GarbageCollectorVO.name == name, GarbageCollectorVO.status != "Done")
    found = session.scalars(wanted).first()
    if found is not None:
        return found
    row = GarbageCollectorVO(
        uuid=uuid.uuid4().hex,
        name=name,
        type=kind.type,
        runnerClass=kind.runner,
        context=json.dumps(context),
        nextDate=now(),
    )
    session.add(row)
    session.flush()
    return row.uuid


def idle(session: Session, *, naming: str = "") -> list[Job]:
    """Jobs that wait, the oldest first; only those whose context names something, if that is given.

    Those of kinds that only a newer release knows are left to its nodes.
    """
    wanted = select(GarbageCollectorVO).where(GarbageCollectorVO.status == "Idle")
    if naming:
        wanted = wanted.where(GarbageCollectorVO.context.contains(naming, autoescape=True))
    rows: Sequence[GarbageCollectorVO] = session.scalars(wanted.order_by(GarbageCollectorVO.createDate)).all()
    return [_job(row) for row in rows if row.runnerClass in JOB_KINDS]


def claim(session: Session, job_uuid: str, node_uuid: str) -> Job | None:
    """Make the job this node's, unless it is being run, done or gone."""
    row = session.get(GarbageCollectorVO, job_uuid)
    if row is None or row.status != "Idle" or row.runnerClass not in JOB_KINDS:
        return None
    row.status, row.managementNodeUuid = "Processing", node_uuid
    row.executedTimes += 1
    session.flush()
    return _job(row)


def settle(session: Session, job: Job, error: str | None) -> None:
    """The attempt has ended: the job is done, or waits for the next one."""
    row = session.get(GarbageCollectorVO, job.uuid)
    if row is None:
        return
    row.managementNodeUuid, row.lastError = None, error[:MAX_ERROR] if error else None
    row.status = "Idle" if error else "Done"
    row.nextDate = now() + timedelta(seconds=job.kind.pause(row.executedTimes))


def adopt(session: Session) -> None:
    """Put the jobs of nodes that are not registered any more back among those that wait."""
    living = select(ManagementNodeVO.uuid)
    lost = or_(GarbageCollectorVO.managementNodeUuid.is_(None), GarbageCollectorVO.managementNodeUuid.not_in(living))
    back = update(GarbageCollectorVO).where(GarbageCollectorVO.status == "Processing", lost)
    session.execute(back.values(status="Idle", managementNodeUuid=None))


def forget(session: Session, age: timedelta) -> None:
    """Delete jobs that were done longer than `age` ago."""
    done = GarbageCollectorVO.status == "Done", GarbageCollectorVO.lastOpDate < now() - age
    session.execute(delete(GarbageCollectorVO).where(*done))


def _job(row: GarbageCollectorVO) -> Job:
    waited = row.nextDate <= now()
    kind = JOB_KINDS[row.runnerClass]
    return Job(row.uuid, row.name, kind, json.loads(row.context), waited, row.executedTimes)
