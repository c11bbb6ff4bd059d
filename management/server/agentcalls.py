"""Long calls to agents: the agent answers at once, works, and then calls back with the result.

Each call has a task uuid that nobody can guess. A callback for a task that nobody waits for (late, or sent twice)
is refused.
"""

import queue
from typing import TYPE_CHECKING, Any

from management.deploy.client import AgentError, AgentRefusedError
from management.server.errors import ApiError
from management.server.hosts import AGENT
from management.server.models.hosts import HostVO
from management.server.tasks import CALLBACK_PATH

if TYPE_CHECKING:
    from management.server.node import Node

DEFAULT_SECONDS = 300.0


def call_host(
    node: "Node", host_uuid: str, path: str, body: dict[str, Any], *, seconds: float = DEFAULT_SECONDS
) -> dict[str, Any]:
    """Have the host's agent do `path`, and wait at most `seconds` for it to call back.

    Raises:
        ApiError: HOST.1010 the host is not connected; SYS.1015 its agent cannot be reached; SYS.1006 the agent failed
            or refused; SYS.1001 it did not call back in time; SYS.1012 this node stops.
    """
    with node.database.read() as session:
        host = session.get(HostVO, host_uuid)
    if host is None or host.deleted is not None:
        raise ApiError("SYS.1003", f"there is no resource[uuid:{host_uuid}, type:HostVO]")
    if host.status != "Connected":
        raise ApiError("HOST.1010", f"host[uuid:{host.uuid}, name:{host.name}] is {host.status}")
    task, box = node.tasks.open()
    try:
        callback = node.config.callback_url(CALLBACK_PATH)
        node.deployer.client(AGENT, host.managementIp).begin(path, body, task, callback)
        answer = box.get(timeout=seconds)
    except AgentRefusedError as error:
        raise ApiError("SYS.1006", str(error)) from error
    except AgentError as error:
        raise ApiError("SYS.1015", str(error)) from error
    except queue.Empty as error:
        text = f"{path} on host[uuid:{host.uuid}] was not finished within {seconds:g} s"
        raise ApiError("SYS.1001", text) from error
    finally:
        node.tasks.close(task)
    if answer is None:
        raise ApiError("SYS.1012", f"this node stopped before {path} on host[uuid:{host.uuid}] was finished")
    if not answer.get("success"):
        raise ApiError("SYS.1006", f"{path} failed on host[uuid:{host.uuid}]: {answer.get('error')}")
    return answer
