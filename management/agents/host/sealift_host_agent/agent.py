"""What the management server can have this host do: each call by its path."""

import threading
from collections.abc import Mapping

from . import __version__, facts
from .arriving import Arrivals
from .calls import Body, CallError, number, text, uuid
from .leaving import Departures
from .machines import Machines
from .qemu import Machine
from .rpc import Call
from .volumes import Volumes

MAX_SECONDS = 86400


class HostAgent:
    """Remembers which host the server says this is; forgets it when it restarts, and so the server notices.

    Everything else is on disk: VMs and files are what they are, whoever asks.
    """

    def __init__(self, machines: Machines, volumes: Volumes, arrivals: Arrivals, departures: Departures) -> None:
        self._lock = threading.Lock()
        self._host_uuid: str | None = None
        self._machines = machines
        self._volumes = volumes
        self._arrivals = arrivals
        self._departures = departures

    def calls(self) -> Mapping[str, Call]:
        return {
            "/host/connect": self.connect,
            "/host/ping": self.ping,
            "/host/echo": lambda _body: {},
            "/host/fact": lambda _body: facts.identity(),
            "/host/capacity": lambda _body: facts.capacity(),
            "/vm/start": self.start,
            "/vm/stop": self.stop,
            "/vm/reboot": self.reboot,
            "/vm/destroy": self.destroy,
            "/vm/migrate": self._departures.migrate,
            "/vm/receive": self._arrivals.receive,
            "/vm/takeover": self._arrivals.take_over,
            "/vm/release": self._arrivals.release,
            "/vm/resume": self._departures.resume,
            "/vm/vmsync": self.sync,
            "/vm/checkstate": self.check_state,
            "/vm/attachdatavolume": self._volumes.attach,
            "/vm/detachdatavolume": self._volumes.detach,
            "/vm/volume/takesnapshot": self._volumes.take_snapshot,
            "/vm/volume/mergesnapshot": self._volumes.merge,
            "/localstorage/snapshot/offlinemerge": self._volumes.merge,
            "/localstorage/volume/createempty": self._volumes.create_empty,
            "/localstorage/volume/createvolumefromcache": self._volumes.create_from_cache,
            "/localstorage/delete": self._volumes.delete,
        }

    def connect(self, body: Body) -> Body:
        host_uuid = text(body, "hostUuid")
        with self._lock:
            self._host_uuid = host_uuid
        found = facts.identity()
        return {"agentVersion": __version__, "qemuVersion": found.get("qemuVersion"), "missing": found["missing"]}

    def ping(self, _body: Body) -> Body:
        with self._lock:
            return {"hostUuid": self._host_uuid}

    def start(self, body: Body) -> Body:
        machine = Machine.parse(body)
        for disk in machine.disks:
            if not disk.file.exists():
                raise CallError(f"{disk.file} does not exist")
        self._machines.start(machine)
        return {}

    def stop(self, body: Body) -> Body:
        self._machines.stop(uuid(body, "uuid"), number(body, "timeout", 0, MAX_SECONDS))
        return {}

    def reboot(self, body: Body) -> Body:
        self._machines.reboot(uuid(body, "uuid"), number(body, "timeout", 0, MAX_SECONDS))
        return {}

    def destroy(self, body: Body) -> Body:
        self._machines.destroy(uuid(body, "uuid"))
        return {}

    def sync(self, _body: Body) -> Body:
        """Every VM that runs here, so that the server can tell which of them it does not know."""
        return {"states": dict.fromkeys(self._machines.running(), "Running")}

    def check_state(self, body: Body) -> Body:
        asked = body.get("vmUuids")
        if not isinstance(asked, list):
            raise CallError("vmUuids must be a list")
        vms = [uuid({"vmUuids": each}, "vmUuids") for each in asked]
        return {"states": {vm: self._machines.state(vm) for vm in vms}}
