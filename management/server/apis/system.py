"""The node itself: readiness, version, registration."""

from typing import TYPE_CHECKING, Any, ClassVar

from management import __version__
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller
from management.server.models.system import ManagementNodeVO
from management.server.query import Inventory, QueryMessage

if TYPE_CHECKING:
    from management.server.node import Node

MANAGEMENT_NODE = Inventory(
    "ManagementNodeInventory",
    ManagementNodeVO,
    ("uuid", "hostName", "port", "state", "joinDate", "heartBeat"),
    order=("joinDate", "uuid"),
)


class IsReadyToGo(ApiMessage):
    wire_name: ClassVar[str] = "org.zstack.header.managementnode.APIIsReadyToGoMsg"
    sync: ClassVar[bool] = True
    needs_session: ClassVar[bool] = False

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        if not node.ready:
            raise ApiError("SYS.1010", f"management node[uuid:{node.uuid}] is still starting")
        return {"managementNodeId": node.uuid}


class GetVersion(ApiMessage):
    wire_name: ClassVar[str] = "org.zstack.header.managementnode.APIGetVersionMsg"
    sync: ClassVar[bool] = True
    needs_session: ClassVar[bool] = False

    def handle(self, _node: "Node", _caller: Caller) -> dict[str, Any]:
        return {"version": __version__}


class QueryManagementNode(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.managementnode.APIQueryManagementNodeMsg"
    inventory: ClassVar[Inventory] = MANAGEMENT_NODE
