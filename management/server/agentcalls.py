"""Long calls to agents: the agent answers at once, works, and then calls back with the result.

Each call has a task uuid that nobody can guess, and as much time as the present work and its kind allow. A callback
for a task that nobody waits for (late, or sent twice) is refused.
"""

import json
import logging
import queue
import time
from typing import TYPE_CHECKING, Any

from management import deadlines
from management.deploy.client import AgentError, AgentRefusedError
from management.deploy.desired import Agent
from management.server.errors import ApiError
from management.server.hosts import AGENT
from management.server.models.hosts import HostVO
from management.server.tasks import CALLBACK_PATH

if TYPE_CHECKING:
    from management.server.node import Node

log = logging.getLogger(__name__)

BEGIN_SECONDS = 10.0


def call_host(node: "Node", host_uuid: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Have the host's agent do `path`.

    Raises:
        ApiError: HOST.1010 the host is not connected; otherwise see `call_agent`.
    """
    with node.database.read() as session:
        host = session.get(HostVO, host_uuid)
    if host is None or host.deleted is not None:
        raise ApiError("SYS.1003", f"there is no resource[uuid:{host_uuid}, type:HostVO]")
    if host.status != "Connected":
        raise ApiError("HOST.1010", f"host[uuid:{host.uuid}, name:{host.name}] is {host.status}")
    return call_agent(node, AGENT, host.managementIp, path, body)


def call_agent(node: "Node", agent: Agent, address: str, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """Have the agent at `address` do `path`, and wait for it to call back as long as it may take.

    Raises:
        ApiError: SYS.1015 the agent cannot be reached; SYS.1006 it failed or refused; SYS.1001 it did not call back
            in time, or there was none left; SYS.1012 this node stops.
    """
    where = f"http://{address}:{agent.port}{path}"
    seconds = node.timeouts.of_command(path)
    if seconds <= 0:
        raise ApiError("SYS.1001", f"{where} was not asked: no time was left")
    ends = time.monotonic() + seconds
    task, box = node.tasks.open()
    try:
        callback = node.config.callback_url(CALLBACK_PATH)
        client = node.deployer.client(agent, address)
        client.begin(path, body, task, callback, seconds=seconds, timeout=min(BEGIN_SECONDS, seconds))
        answer = box.get(timeout=max(0.0, ends - time.monotonic()))
    except AgentRefusedError as error:
        raise ApiError("SYS.1006", str(error)) from error
    except AgentError as error:
        raise ApiError("SYS.1001" if deadlines.passed() else "SYS.1015", str(error)) from error
    except queue.Empty as error:
        log.warning("task %s was given up after %.3f s: %s", task, seconds, where)
        text = f"{where} was not finished within {seconds:.3g} s, command: {json.dumps(body)}"
        raise ApiError("SYS.1001", text) from error
    finally:
        node.tasks.close(task)
    if answer is None:
        raise ApiError("SYS.1012", f"this node stopped before {where} was finished")
    if not answer.get("success"):
        raise ApiError("SYS.1006", f"{where} failed: {answer.get('error')}")
    return answer
