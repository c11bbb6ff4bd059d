"""The console proxy agent on the management host (since 1.1.0)."""

import logging
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from management import deadlines
from management.deploy.deployer import DeployError
from management.deploy.desired import Agent, Target
from management.server.clock import now
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller
from management.server.models.console import ConsoleProxyAgentVO
from management.server.query import Inventory, QueryMessage

if TYPE_CHECKING:
    from management.server.node import Node

log = logging.getLogger(__name__)

AGENT = Agent("console", 7758, "/ping")
CONSOLE_AGENT = Inventory(
    "ConsoleProxyAgentInventory",
    ConsoleProxyAgentVO,
    ("uuid", "description", "managementIp", "type", "status", "state", "createDate", "lastOpDate"),
)


class QueryConsoleProxyAgent(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.console.APIQueryConsoleProxyAgentMsg"
    inventory: ClassVar[Inventory] = CONSOLE_AGENT


class ReconnectConsoleProxyAgent(ApiMessage):
    """Without `agentUuids`, all of them. The inventory says for each `true` or what went wrong."""

    wire_name: ClassVar[str] = "org.zstack.header.console.APIReconnectConsoleProxyAgentMsg"
    repeatable: ClassVar[bool] = True

    agentUuids: list[str] | None = Field(default=None, min_length=1)

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        return {"inventory": {uuid: _reconnect(node, uuid) for uuid in self.agentUuids or [node.uuid]}}


def join(node: "Node") -> None:
    """Make the agent's row."""
    moment = now()
    row = ConsoleProxyAgentVO(
        uuid=node.uuid,
        description=f"Console proxy agent running on the management node[uuid:{node.uuid}]",
        managementIp=str(node.config.management_ip),
        type="ManagementServerConsoleProxy",
        status="Disconnected",
        state="Enabled",
        createDate=moment,
        lastOpDate=moment,
    )
    with node.database.write() as session:
        session.add(row)


def on_ready(node: "Node") -> None:
    """Bring the agent up. A failure leaves it Disconnected and the server running."""
    _reconnect(node, node.uuid)


def _reconnect(node: "Node", agent_uuid: str) -> bool | dict[str, Any]:
    if agent_uuid != node.uuid:
        return ApiError("SYS.1007", f"there is no management node with the uuid [{agent_uuid}]").to_wire()
    with node.locks("deploy-console-agent", agent_uuid):
        _set_status(node, "Connecting")
        try:
            target = Target(str(node.config.management_ip), node.config.ssh_port, "root")
            node.deployer.ensure(AGENT, target)
        except DeployError as error:
            log.warning("the console proxy agent is disconnected: %s", error)
            _set_status(node, "Disconnected")
            return ApiError("SYS.1001" if deadlines.passed() else "SYS.1006", str(error)).to_wire()
        _set_status(node, "Connected")
    return True


def _set_status(node: "Node", status: str) -> None:
    with node.database.write() as session:
        row = session.get_one(ConsoleProxyAgentVO, node.uuid)
        row.status, row.lastOpDate = status, now()
