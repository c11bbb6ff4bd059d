"""A host's agent that only pretends: the agents' protocol over HTTP, hosts made of dictionaries, and faults on demand.

It passes the same contract as the real agent (test_agent_contract.py).
"""

import json
import queue
import re
import threading
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.unit.management.patience import PATIENCE

Body = dict[str, Any]
Address = tuple[str, int]
_PATH = re.compile(
    r"/.+/((root|data)Volumes/acct-\w+/vol-\w+/\w+\.\w+|imagecache/template/\w+/\w+\.\w+"
    r"|(root|data)VolumeTemplates/acct-\w+/\w+/[^/]+\.template)"
)


class RefusedError(Exception):
    """The agent says that it does not do it."""


@dataclass(frozen=True)
class Fault:
    """What goes wrong with one kind of call.

    It takes `seconds` longer, or goes on when `until` is set; it is `refused` with a text; the agent is gone in the
    `middle` of it; or its result is told `told` times. `times` says how often this happens, if not always; afterwards
    `then` goes wrong.
    """

    seconds: float = 0.0
    until: threading.Event | None = None
    refused: str | None = None
    middle: bool = False
    told: int = 1
    times: int | None = None
    then: "Fault | None" = None


@dataclass
class Simulator:
    """One host at `address`. `calls` are the paths and bodies of all it was asked to do, pings left out."""

    address: str
    port: int
    token: str
    vms: dict[str, str] = field(default_factory=dict)
    files: dict[str, int] = field(default_factory=dict)
    calls: list[tuple[str, Body]] = field(default_factory=list)
    faults: dict[str, Fault] = field(default_factory=dict)
    callbacks: list[tuple[str, int]] = field(default_factory=list)
    """The paths whose results were told, and what the server answered."""
    disks: dict[str, set[str]] = field(default_factory=dict)
    """The data volumes that were attached to running VMs, by VM."""
    arriving: dict[str, list[str]] = field(default_factory=dict)
    """The files that were made for VMs that are being moved here, by VM."""
    halves: dict[str, int] = field(default_factory=dict)
    """Files that are being downloaded, as far as they are there."""
    spans: list[tuple[str, float, float]] = field(default_factory=list)
    """The paths of what was done, and when each began and ended."""
    pinged: Callable[[Address, Address], None] = field(default=lambda _caller, _called: None)
    """Told the two ends of the connection that a ping comes by."""
    host_uuid: str | None = None
    cpus: int = 8
    memory: int = 16 << 30
    _server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        """Be there; what ran still runs, but the agent has forgotten whose it is."""
        self.host_uuid = None
        for vm in list(self.arriving):
            self._vm_release({"vmUuid": vm})
        self._server = _Server((self.address, self.port), self)
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Be gone: connections are refused."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()

    def asked(self, path: str) -> list[Body]:
        """The bodies of calls to `path`."""
        return [body for called, body in self.calls if called == path]

    def take_fault(self, path: str) -> Fault:
        """What is to go wrong this time."""
        fault = self.faults.get(path, Fault())
        if fault.times is not None:
            left = replace(fault, times=fault.times - 1) if fault.times > 1 else fault.then
            if left is None:
                del self.faults[path]
            else:
                self.faults[path] = left
        return fault

    def do(self, path: str, body: Body) -> Body:
        """Do the call in the dictionaries."""
        act: Callable[[Body], Body | None] = getattr(self, "_" + path.strip("/").replace("/", "_"))
        return act(body) or {}

    def _host_echo(self, _body: Body) -> None:
        return

    def _host_connect(self, body: Body) -> Body:
        self.host_uuid = _text(body, "hostUuid")
        return {"agentVersion": "simulated"}

    def _host_ping(self, _body: Body) -> Body:
        return {"hostUuid": self.host_uuid}

    def _host_fact(self, _body: Body) -> Body:
        return {"hostName": self.address, "kernelVersion": "simulated", "missing": []}

    def _host_capacity(self, _body: Body) -> Body:
        return {"cpuNum": self.cpus, "cpuSpeed": 1000, "usedCpu": 0, "totalMemory": self.memory, "usedMemory": 0}

    def _vm_start(self, body: Body) -> None:
        vm, root = _uuid(body, "vmInstanceUuid"), _path(body["rootVolume"], "installPath")
        if root not in self.files:
            raise RefusedError(f"{root} does not exist")
        self.vms[vm] = "Running"

    def _vm_stop(self, body: Body) -> None:
        self.vms.pop(_uuid(body, "uuid"), None)

    _vm_destroy = _vm_stop

    def _vm_reboot(self, body: Body) -> None:
        if _uuid(body, "uuid") not in self.vms:
            raise RefusedError("the VM does not run")

    def _vm_vmsync(self, _body: Body) -> Body:
        return {"states": {vm: state for vm, state in self.vms.items() if state == "Running"}}

    def _vm_checkstate(self, body: Body) -> Body:
        asked = [_uuid({"vmUuids": each}, "vmUuids") for each in body["vmUuids"]]
        return {"states": {uuid: self.vms.get(uuid, "Shutdown") for uuid in asked}}

    def _vm_migrate(self, body: Body) -> None:
        vm, peer = _uuid(body, "vmUuid"), _text(body, "destHostIp")
        if self.vms.get(vm) != "Running" or body["vm"]["vmInstanceUuid"] != vm:
            raise RefusedError("the VM does not run")
        paths = [each["installPath"] for each in (body["vm"]["rootVolume"], *body["vm"]["dataVolumes"])]
        if not set(paths) <= self.files.keys() or body["storageMigrationPolicy"] != "FullCopy":
            raise RefusedError("the VM does not write to these files")
        self._tell(peer, "/vm/receive", {"vm": body["vm"], "sizes": [self.files[path] for path in paths]})
        self.vms[vm] = "Paused"
        try:
            self._tell(peer, "/vm/takeover", {"vmUuid": vm})
        except RefusedError:
            self.vms[vm] = "Running"
            raise
        except OSError as error:
            raise RefusedError(f"nobody knows whether it runs there: {error}") from error
        self._vm_stop({"uuid": vm})

    def _tell(self, peer: str, path: str, body: Body) -> None:
        """Have another host do it, as hosts do among themselves."""
        headers = {"Authorization": f"Bearer {self.token}"}
        request = urllib.request.Request(f"http://{peer}:{self.port}{path}", json.dumps(body).encode(), headers)
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            said = json.load(answer)
        if not said["success"]:
            raise RefusedError(said["error"])

    def _vm_receive(self, body: Body) -> None:
        vm, root = _uuid(body["vm"], "vmInstanceUuid"), body["vm"]["rootVolume"]
        paths = [_path(each, "installPath") for each in (root, *body["vm"]["dataVolumes"])]
        if vm in self.vms or not self.files.keys().isdisjoint(paths):
            raise RefusedError("it is on this host already")
        self.arriving[vm] = paths
        self.files.update(zip(paths, body["sizes"], strict=True))

    def _vm_takeover(self, body: Body) -> None:
        vm = _uuid(body, "vmUuid")
        if vm not in self.vms:
            if vm not in self.arriving:
                raise RefusedError("it is not on this host")
            self.vms[vm] = "Running"
            del self.arriving[vm]

    def _vm_release(self, body: Body) -> None:
        vm = _uuid(body, "vmUuid")
        if vm in self.vms:
            raise RefusedError("it runs on this host")
        for path in self.arriving.pop(vm, []):
            self.files.pop(path, None)

    def _vm_resume(self, body: Body) -> None:
        vm = _uuid(body, "vmUuid")
        if vm not in self.vms:
            raise RefusedError("it is not on this host")
        self.vms[vm] = "Running"

    def _vm_attachdatavolume(self, body: Body) -> None:
        self._disks(body).add(_text(body["volume"], "volumeUuid"))

    def _vm_detachdatavolume(self, body: Body) -> None:
        self._disks(body).discard(_text(body["volume"], "volumeUuid"))

    def _vm_volume_takesnapshot(self, body: Body) -> Body:
        old, new = _path(body, "volumeInstallPath"), _path(body, "installPath")
        if old not in self.files:
            raise RefusedError(f"{old} does not exist")
        self.files.setdefault(new, 0)
        return {"snapshotInstallPath": old, "newVolumeInstallPath": new, "size": self.files[old]}

    def _vm_volume_mergesnapshot(self, body: Body) -> None:
        needed = {_path(body, "destPath")} | (set() if body["fullRebase"] else {_path(body, "srcPath")})
        if not needed <= self.files.keys():
            raise RefusedError("a file of the chain is missing")

    _localstorage_snapshot_offlinemerge = _vm_volume_mergesnapshot

    def _disks(self, body: Body) -> set[str]:
        vm = _text(body, "vmInstanceUuid")
        if vm not in self.vms:
            raise RefusedError("the VM does not run")
        return self.disks.setdefault(vm, set())

    def _localstorage_volume_createempty(self, body: Body) -> None:
        self.files.setdefault(_path(body, "installUrl"), body["size"])

    def _localstorage_volume_createvolumefromcache(self, body: Body) -> None:
        _path(body, "templatePathInCache")
        self._localstorage_volume_createempty(body)

    def _localstorage_delete(self, body: Body) -> None:
        self.files.pop(_path(body, "path"), None)

    def _sftpbackupstorage_echo(self, _body: Body) -> None:
        return

    def _sftpbackupstorage_connect(self, body: Body) -> Body:
        _text(body, "storagePath")
        return {"totalCapacity": 1 << 40, "availableCapacity": 1}

    def _sftpbackupstorage_download(self, body: Body) -> Body:
        path, ends = _path(body, "installPath"), time.monotonic() + body["timeout"]
        if path not in self.files:
            self._fetch(path, body, ends)
        return {"md5Sum": "not calculated", "size": self.files[path], "totalCapacity": 1 << 40, "availableCapacity": 1}

    def _fetch(self, path: str, body: Body, ends: float) -> None:
        self.halves[path] = 0
        try:
            with urllib.request.urlopen(body["url"], timeout=body["timeout"]) as source:
                while block := source.read1(1 << 16):
                    if path not in self.halves or time.monotonic() > ends:
                        raise RefusedError(f"the download to {path} was ended")
                    self.halves[path] += len(block)
                if self.halves[path] != int(source.headers.get("Content-Length", self.halves[path])):
                    raise RefusedError("the download ended too early")
            self.files[path] = self.halves[path]
        except OSError as error:
            raise RefusedError(f"{body['url']}: {error}") from error
        finally:
            self.halves.pop(path, None)

    def _sftpbackupstorage_delete(self, body: Body) -> None:
        self.halves.pop(_path(body, "installPath"), None)
        self.files.pop(_path(body, "installPath"), None)


def _text(body: Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise RefusedError(f"{name} must be given")
    return value


def _uuid(body: Body, name: str) -> str:
    value = _text(body, name)
    if not re.fullmatch("[0-9a-f]{32}", value):
        raise RefusedError(f"{name} is no UUID")
    return value


def _path(body: Body, name: str) -> str:
    value = _text(body, name)
    if not _PATH.fullmatch(value) or ".." in value.split("/"):
        raise RefusedError(f"{name} is no path of a storage")
    return value


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, address: tuple[str, int], host: Simulator) -> None:
        self.host = host
        super().__init__(address, _Request)


class _Request(BaseHTTPRequestHandler):
    server: _Server

    def do_POST(self) -> None:
        host = self.server.host
        path = self.path.rstrip("/")
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", "0"))) or b"{}")
        if self.headers.get("Authorization") != f"Bearer {host.token}":
            return self._answer(401, {"success": False, "error": "a valid token is needed"})
        if not hasattr(host, "_" + path.strip("/").replace("/", "_")):
            return self._answer(404, {"success": False, "error": f"no call {path}"})
        fault = host.take_fault(path)
        if path == "/host/ping":
            host.pinged(self.client_address, self.connection.getsockname())
        else:
            host.calls.append((path, body))
        task, callback = self.headers.get("taskuuid"), self.headers.get("callbackurl")
        if not (task and callback):
            result = self._result(path, body, fault)
            return host.stop() if fault.middle else self._answer(200, result)
        self._answer(200, None)
        threading.Thread(target=self._work, args=(path, body, fault, task, callback), daemon=True).start()
        return None

    def _work(self, path: str, body: Body, fault: Fault, task: str, callback: str) -> None:
        result = self._result(path, body, fault)
        if fault.middle:
            self.server.host.stop()
            return
        for _ in range(fault.told):
            self.server.host.callbacks.append((path, post(callback, task, result)))

    def _result(self, path: str, body: Body, fault: Fault) -> Body:
        host, began = self.server.host, time.monotonic()
        time.sleep(fault.seconds)
        if fault.until is not None:
            fault.until.wait()
        try:
            if fault.refused is not None:
                raise RefusedError(fault.refused)
            return {"success": True, **host.do(path, body)}
        except (RefusedError, KeyError, OSError) as error:
            return {"success": False, "error": str(error)}
        finally:
            host.spans.append((path, began, time.monotonic()))

    def _answer(self, status: int, answer: Body | None) -> None:
        text = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args: Any) -> None:
        """Say nothing."""


def post(url: str, task: str, answer: Body) -> int:
    """Tell the caller the result; the status that it answers with, 0 when it is not there."""
    headers = {"Content-Type": "application/json", "taskuuid": task}
    request = urllib.request.Request(url, json.dumps(answer).encode(), headers, method="POST")
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as taken:
            return int(taken.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


@dataclass
class Callbacks:
    """Where results of long calls arrive in tests without a management server."""

    results: "queue.Queue[tuple[str, Body]]" = field(default_factory=queue.Queue)

    def serve(self) -> tuple[ThreadingHTTPServer, str]:
        """A server for results, and its URL."""
        results = self.results

        class Taken(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                results.put((self.headers["taskuuid"], body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_args: Any) -> None:
                """Say nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Taken)
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        return server, f"http://127.0.0.1:{server.server_address[1]}/"
