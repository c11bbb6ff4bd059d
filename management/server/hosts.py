"""Connecting hosts: deploy the agent when needed, introduce ourselves, take the capacity over."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from management import deadlines
from management.deploy.client import AgentError
from management.deploy.deployer import DeployError
from management.deploy.desired import Agent, Target
from management.server.clock import now
from management.server.errors import ApiError
from management.server.models.hosts import HostVO
from management.server.node import Node

log = logging.getLogger(__name__)

AGENT = Agent("host", 7070, "/host/echo", stores=True, outlived=True)
STATUS_CHANGED = "/host/status/change"
DELETED = "/host/delete"


def connect(node: Node, host_uuid: str, password: str | None = None, *, quietly: bool = False) -> None:
    """Bring a host to Connected, one attempt at a time per host. With a password, authorize our key first.

    A host that is Connected is Connecting meanwhile, unless this is done `quietly`.

    Raises:
        ApiError: HOST.1002; the host is Disconnected then.
    """
    with node.locks("reconnect-host", host_uuid):
        host = _set_status(node, host_uuid, "Connecting", unless=("Connected",) if quietly else ())
        target = Target(host.managementIp, host.sshPort, host.username)
        try:
            if password is not None:
                node.deployer.authorize(target, password)
            node.deployer.ensure(AGENT, target, node.config.host_packages)
            client = node.deployer.client(AGENT, host.managementIp)
            missing = client.call("/host/connect", {"hostUuid": host.uuid}).get("missing")
            if missing:
                log.warning("host %s cannot run VMs: it lacks %s", host.managementIp, ", ".join(missing))
            capacity = client.call("/host/capacity")
        except DeployError as error:
            code = "SYS.1001" if deadlines.passed() else "SYS.1006"
            raise _lost(node, host, ApiError(code, str(error))) from error
        except AgentError as error:
            code = "SYS.1001" if deadlines.passed() else "SYS.1015"
            raise _lost(node, host, ApiError(code, str(error))) from error
        _set_status(node, host_uuid, "Connected", _capacity(capacity))


def look_after(node: Node) -> Sequence[HostVO]:
    """The hosts of this node's share. Those that have just come into it are left out, and connected in the background.

    When a node starts, their agents may have to follow an upgrade. When they were another node's, that may have died
    in the middle of connecting one, or have been of an older release; calls to them go on meanwhile.
    """
    with node.database.read() as session:
        look = node.share.look(session)
    if not node.outdated:
        for host in look.taken:
            node.background(_try_connect, node, host.uuid, not look.first)
    return look.kept


def lose(node: Node, host_uuid: str, reason: Exception) -> None:
    """The host's agent does not answer: it is Disconnected until it is connected again."""
    log.warning("host %s is lost: %s", host_uuid, reason)
    _set_status(node, host_uuid, "Disconnected")


def announce_deleted(node: Node, host: Any) -> None:
    """Tell the node's listeners that `host` has left the inventory."""
    node.events.publish(DELETED, {"hostUuid": host.uuid})


def _try_connect(node: Node, host_uuid: str, quietly: bool) -> None:
    try:
        connect(node, host_uuid, quietly=quietly)
    except ApiError as error:
        # The host's status tells the operator; ReconnectHost tries again.
        log.warning("host %s stays disconnected: %s", host_uuid, error.cause or error)


def _lost(node: Node, host: HostVO, cause: ApiError) -> ApiError:
    _set_status(node, host.uuid, "Disconnected")
    return ApiError("HOST.1002", f"host[uuid:{host.uuid}, name:{host.name}] cannot be connected", cause)


def _set_status(
    node: Node, host_uuid: str, status: str, columns: Mapping[str, int] | None = None, unless: Sequence[str] = ()
) -> HostVO:
    with node.database.write() as session:
        host = session.get(HostVO, host_uuid)
        if host is None:
            raise ApiError("SYS.1003", f"there is no resource[uuid:{host_uuid}, type:HostVO]")
        before = host.status
        host.status = status = before if before in unless else status
        for name, value in (columns or {}).items():
            setattr(host, name, value)
        host.lastOpDate = now()
    if before != status:
        node.events.publish(STATUS_CHANGED, {"hostUuid": host_uuid, "oldStatus": before, "newStatus": status})
    return host


def _capacity(answer: dict[str, Any]) -> dict[str, int]:
    total_cpu = int(answer["cpuNum"]) * int(answer["cpuSpeed"])
    total_memory = int(answer["totalMemory"])
    return {
        "totalCpuCapacity": total_cpu,
        "availableCpuCapacity": total_cpu - int(answer["usedCpu"]),
        "totalMemoryCapacity": total_memory,
        "availableMemoryCapacity": total_memory - int(answer["usedMemory"]),
    }
