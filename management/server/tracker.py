"""Which hosts are there: every living node asks its share of them, again and again."""

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from management.deploy.client import AgentError
from management.server import hosts
from management.server.apis.globalconfig import CHANGED, setting
from management.server.errors import ApiError
from management.server.models.hosts import HostVO

if TYPE_CHECKING:
    from management.server.node import Node

WORKERS = 32


class Tracker:
    """Asks hosts; what has changed is found out once per round."""

    def __init__(self, node: "Node") -> None:
        self._node = node
        self._pool = ThreadPoolExecutor(WORKERS, thread_name_prefix="tracker")

    def start(self) -> None:
        self._node.at_close(self._pool.shutdown)
        repeater = self._node.repeat("host tracker", self._seconds, self._look)
        self._node.events.subscribe(CHANGED, lambda _facts: repeater.wake())

    def _seconds(self) -> float:
        with self._node.database.read() as session:
            return max(1.0, float(setting(session, "host", "ping.interval")))

    def _look(self) -> None:
        with self._node.database.read() as session:
            reconnect = setting(session, "host", "connection.autoReconnectOnError") == "true"
        list(self._pool.map(lambda host: self._ask(host, reconnect), hosts.look_after(self._node)))

    def _ask(self, host: HostVO, reconnect: bool) -> None:
        if not self._node.ready:
            return  # it stops: the rest of a round of thousands must not keep it
        try:
            client = self._node.deployer.client(hosts.AGENT, host.managementIp)
            known = client.call("/host/ping").get("hostUuid") == host.uuid
        except AgentError as error:
            if host.status == "Connected" and self._node.ready:
                hosts.lose(self._node, host.uuid, error)
            return
        # An agent that was restarted has forgotten which host it is on.
        if (
            reconnect
            and not self._node.outdated
            and (host.status == "Disconnected" or (host.status == "Connected" and not known))
        ):
            try:
                hosts.connect(self._node, host.uuid)
            except ApiError as error:
                hosts.log.warning("host %s stays disconnected: %s", host.uuid, error.cause or error)
