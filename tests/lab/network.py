"""A bridge in a namespace without a way out, and the wires from it to the hosts."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.lab import cgroups
from tests.lab.namespaces import in_network, network_id
from tests.lab.process import LabError, run
from tests.lab.root import GATEWAY

BRIDGE = "br-lab"
CONTROLLER = "10.77.0.1"
# nobody has this address: what is sent to it is seen on the wire and answered by no one
GATEWAY_MAC = "02:00:00:00:00:fe"


def start_in_group(argv: list[str], groups: list[Path], **options: object) -> subprocess.Popen[str]:
    """Start a program that is a member of `groups` from its first instruction on, in a session of its own."""
    join = 'while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done; shift; exec "$@"'
    words = ["sh", "-c", join, "join", *map(str, groups), "--", *argv]
    return subprocess.Popen(words, start_new_session=True, text=True, **options)  # type: ignore[call-overload,no-any-return]


def wait_for_own_network(process: subprocess.Popen[str], timeout: float = 60) -> None:
    """Until `process` is in a network namespace that is not ours.

    Raises:
        LabError: it ended before, or did not get there in time.
    """
    ours = network_id()
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise LabError(f"a namespace could not be made: exit {process.returncode}")
        if network_id(process.pid) != ours:
            return
        time.sleep(0.005)
    raise LabError("a namespace was not ready in time")


class Network:
    """The controller's namespace with the bridge in it. `close` ends it."""

    def __init__(self, run_id: str) -> None:
        self._run_id = run_id
        self._holder = start_in_group(
            ["unshare", "--net", "sleep", "infinity"],
            cgroups.group_folders(run_id, "network"),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        try:
            wait_for_own_network(self._holder)
            self.ip("link", "set", "lo", "up")
            self.ip("link", "add", BRIDGE, "type", "bridge", "mcast_snooping", "0")
            self._without_ipv6(self.pid, BRIDGE)
            self.ip("link", "set", BRIDGE, "up")
            self.add_address(CONTROLLER)
        except BaseException:
            self.close()
            raise

    @property
    def pid(self) -> int:
        """A process in the controller's namespace."""
        return self._holder.pid

    def ip(self, *arguments: str) -> None:
        """Run ip in the controller's namespace."""
        in_network(self.pid, ["ip", *arguments])

    def add_address(self, address: str) -> None:
        """Let the controller answer at `address` too."""
        self.ip("addr", "add", f"{address}/24", "dev", BRIDGE)

    def attach(self, pid: int, address: str, port: str) -> None:
        """Wire the namespace of `pid` to the bridge: `host0` there, `port` here.

        The wire of a host that lost its power goes some time after the host; it makes room at once.
        """
        in_network(self.pid, ["ip", "link", "del", port], check=False)
        run(["ip", "link", "add", port, "netns", str(self.pid), "type", "veth", "peer", "host0", "netns", str(pid)])
        self._without_ipv6(self.pid, port)
        self._without_ipv6(pid, "host0")
        self.ip("link", "set", port, "master", BRIDGE, "up")
        batch = "\n".join(
            [
                "link set lo up",
                f"addr add {address}/24 dev host0",
                "link set host0 up",
            ]
        )
        _ip_batch(pid, batch)

    @staticmethod
    def _without_ipv6(pid: int, device: str) -> None:
        setting = f"/proc/sys/net/ipv6/conf/{device}/disable_ipv6"
        in_network(pid, ["sh", "-c", '[ ! -e "$1" ] || echo 1 >"$1"', "sh", setting])

    def close(self) -> None:
        """End the namespace and everything in it that is not a host."""
        cgroups.kill(self._run_id, "network")
        self._holder.wait()


def open_dead_end(pid: int) -> None:
    """Give the namespace of `pid` a default route to nobody: attempts leave the host and are never answered."""
    neighbour = f"neigh replace {GATEWAY} lladdr {GATEWAY_MAC} dev host0 nud permanent"
    _ip_batch(pid, f"{neighbour}\nroute replace default via {GATEWAY}")


def close_dead_end(pid: int) -> None:
    """Take the default route away again."""
    _ip_batch(pid, f"route del default\nneigh del {GATEWAY} dev host0")


def _ip_batch(pid: int, batch: str) -> None:
    in_network(pid, ["sh", "-c", 'echo "$1" | ip -batch -', "sh", batch])


def port_name(index: int) -> str:
    """The bridge's end of the wire of the host with this number."""
    return f"port{index}"
