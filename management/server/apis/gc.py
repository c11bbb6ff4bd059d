"""The garbage collection's jobs (since 1.1.0): what is still to be removed, and a hand on it."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from management.server.errors import ApiError
from management.server.gc.attempts import attempt
from management.server.gc.collector import Collector
from management.server.messages import ApiMessage, Caller, Resource
from management.server.models.gc import GarbageCollectorVO
from management.server.query import Inventory, QueryMessage

if TYPE_CHECKING:
    from management.server.node import Node

JOB = Inventory(
    "GCJobInventory",
    GarbageCollectorVO,
    (
        "uuid",
        "name",
        "type",
        "runnerClass",
        "context",
        "status",
        "managementNodeUuid",
        "executedTimes",
        "lastError",
        "createDate",
        "lastOpDate",
    ),
)


class QueryGCJob(QueryMessage):
    """Removals that wait for their host or storage, and those that are done."""

    wire_name: ClassVar[str] = "org.zstack.core.gc.APIQueryGCJobMsg"
    inventory: ClassVar[Inventory] = JOB


class TriggerGCJob(ApiMessage):
    """Tries a job now, whatever it waits for."""

    wire_name: ClassVar[str] = "org.zstack.core.gc.APITriggerGCJobMsg"

    uuid: Annotated[str, Resource(GarbageCollectorVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.read() as session:
            job = session.get_one(GarbageCollectorVO, self.uuid)
        if job.status != "Idle":
            raise ApiError("SYS.1006", f"job[uuid:{job.uuid}, name:{job.name}] is {job.status}")
        error = attempt(node, self.uuid)
        if error is not None:
            raise ApiError("SYS.1006", f"job[uuid:{job.uuid}, name:{job.name}] has failed and waits again: {error}")
        return {}


class DeleteGCJob(ApiMessage):
    """Gives a removal up: what is left stays where it is."""

    wire_name: ClassVar[str] = "org.zstack.core.gc.APIDeleteGCJobMsg"

    uuid: Annotated[str, Resource(GarbageCollectorVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            job = session.get_one(GarbageCollectorVO, self.uuid)
            if job.status == "Processing":
                raise ApiError("SYS.1006", f"job[uuid:{job.uuid}, name:{job.name}] is being run")
            session.delete(job)
        return {}


def on_ready(node: "Node") -> None:
    """Begin to collect: whatever was left by earlier boots, and by nodes that are gone."""
    Collector(node).start()
