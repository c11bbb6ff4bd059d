"""One attempt at one job."""

import logging
from typing import TYPE_CHECKING

from management.server.errors import ApiError
from management.server.gc import store

if TYPE_CHECKING:
    from management.server.node import Node

log = logging.getLogger(__name__)


def attempt(node: "Node", job_uuid: str) -> str | None:
    """Run the job unless it is being run or done, and say why it failed, if it did."""
    with node.database.write() as session:
        job = store.claim(session, job_uuid, node.uuid)
    if job is None:
        return None
    error = _run(node, job)
    with node.database.write() as session:
        store.settle(session, job, error)
    return error


def _run(node: "Node", job: store.Job) -> str | None:
    try:
        job.kind.run(node, job.context)
    except ApiError as error:
        log.warning("collection of %s has to be tried again: %s", job.name, error)
        return str(error)
    except Exception as error:
        # The job must not stay claimed, and the log gets the traceback.
        log.exception("collection of %s met an unexpected error", job.name)
        return f"{type(error).__name__}: {error}"
    log.info("%s was collected", job.name)
    return None
