"""What the server relies on, kept by the simulated agents of its tests and by the real ones alike."""

import threading
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from management.deploy.client import AgentError
from management.server.agentcommands import COMMANDS
from tests.unit.management.agent_rigs import RIGS, Rig
from tests.unit.management.cloud import eventually
from tests.unit.management.patience import PATIENCE
from tests.unit.management.simulator import Body

DONE = {"success": True}
MEMORY = 64 << 20
EMPTY, FROM_CACHE = (f"/localstorage/volume/{name}" for name in ("createempty", "createvolumefromcache"))
DELETE, TAKE = "/localstorage/delete", "/vm/volume/takesnapshot"
ONLINE, OFFLINE = "/vm/volume/mergesnapshot", "/localstorage/snapshot/offlinemerge"
DOWNLOAD, REMOVE = "/sftpbackupstorage/download", "/sftpbackupstorage/delete"


@pytest.fixture(params=RIGS)
def make(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Rig]]:
    made: list[Rig] = []

    def begin(kind: str) -> Rig:
        rig = RIGS[request.param](kind)
        made.append(rig)
        rig.start()
        return rig

    yield begin
    for rig in made:
        rig.close()


@pytest.fixture
def host(make: Callable[[str], Rig]) -> Rig:
    return make("host")


@pytest.fixture
def storage(make: Callable[[str], Rig]) -> Rig:
    return make("storage")


def refused(answer: Body) -> bool:
    return answer["success"] is False and bool(answer["error"])


def make_volume(host: Rig, kind: str = "root") -> str:
    path = host.volume(kind)
    assert host.call(EMPTY, installUrl=path, size=1 << 20, volumeUuid=Path(path).stem) == DONE
    return path


def volume(path: str) -> Body:
    return {"installPath": path, "volumeUuid": Path(path).stem, "deviceId": 0, "cacheMode": "none"}


def start(host: Rig, root: str, vm: str | None = None) -> tuple[str, Body]:
    vm = vm or uuid.uuid4().hex
    body: Body = {"memory": MEMORY, "cpuNum": 1, "rootVolume": volume(root), "dataVolumes": [], "nics": []}
    return vm, host.call("/vm/start", vmInstanceUuid=vm, **body)


def run_vm(host: Rig, root: str) -> str:
    vm, answer = start(host, root)
    assert answer == DONE
    return vm


def running(host: Rig) -> Body:
    states: Body = host.call("/vm/vmsync")["states"]
    return states


def test_a_host_knows_who_it_is_until_its_agent_restarts(host: Rig) -> None:
    assert host.client.call("/host/echo") == DONE
    assert host.client.call("/host/ping")["hostUuid"] is None
    assert host.client.call("/host/connect", {"hostUuid": "a1"})["agentVersion"]
    assert host.client.call("/host/ping")["hostUuid"] == "a1"
    assert {"hostName", "kernelVersion", "missing"} <= host.client.call("/host/fact").keys()
    capacity = host.client.call("/host/capacity")
    assert all(capacity[name] > 0 for name in ("cpuNum", "cpuSpeed", "totalMemory"))
    assert {"usedCpu", "usedMemory"} <= capacity.keys()
    host.stop()
    with pytest.raises(AgentError):
        host.client.call("/host/echo")
    host.start()
    assert host.client.call("/host/ping")["hostUuid"] is None


def test_strangers_and_unknown_calls(host: Rig, storage: Rig) -> None:
    for rig, path in ((host, "/host/echo"), (storage, "/sftpbackupstorage/echo")):
        assert rig.client.call(path) == DONE
        with pytest.raises(AgentError, match="404"):
            rig.client.call("/nothing")
        stranger = type(rig.client)(rig.client.address, rig.client.port, "guess")
        with pytest.raises(AgentError, match="401"):
            stranger.call(path)


def test_every_command_of_the_server_is_known(host: Rig, storage: Rig) -> None:
    for path in COMMANDS:
        rig = storage if path.startswith("/sftp") else host
        assert refused(rig.call(path)), f"{path} takes a call that says nothing"


def test_volumes_are_made_and_deleted_once(host: Rig) -> None:
    path = make_volume(host, "data")
    assert host.has(path)
    assert host.call(EMPTY, installUrl=path, size=1 << 20) == DONE
    for _ in range(2):
        assert host.call(DELETE, path=path) == DONE
        assert not host.has(path)
    assert host.call(DELETE, path=host.volume()) == DONE


@pytest.mark.parametrize(
    "wrong",
    [
        "relative/rootVolumes",
        "/etc/passwd",
        "{root}",
        "{root}/rootVolumes/acct-{id}/vol-{id}/../../../../etc/{id}.qcow2",
        "{root}/../rootVolumes/acct-{id}/vol-{id}/{id}.qcow2",
        "{root}/rootVolumes/acct-{id}/vol-{id}/{id}.qcow2\n",
        "",
    ],
)
def test_no_path_leads_out_of_a_storage(host: Rig, storage: Rig, wrong: str) -> None:
    path, good = wrong.format(root=host.root, id=uuid.uuid4().hex), make_volume(host)
    for command, body in (
        (EMPTY, {"installUrl": path, "size": 1}),
        (FROM_CACHE, {"installUrl": host.volume(), "templatePathInCache": path, "size": 1}),
        (DELETE, {"path": path}),
        (TAKE, {"volumeInstallPath": good, "installPath": path}),
        (TAKE, {"volumeInstallPath": path, "installPath": good}),
        (OFFLINE, {"destPath": path, "srcPath": None, "fullRebase": True}),
        (OFFLINE, {"destPath": good, "srcPath": path, "fullRebase": False}),
    ):
        assert refused(host.call(command, **body)), command
    assert refused(start(host, path)[1])
    assert refused(storage.call(DOWNLOAD, installPath=path, url="http://127.0.0.1:1/", timeout=5))
    assert refused(storage.call(REMOVE, installPath=path))


def test_a_vm_is_started_once_and_outlives_the_agent(host: Rig) -> None:
    root = host.volume()
    assert refused(start(host, root)[1]), "its root volume is not there"
    assert running(host) == {}
    root = make_volume(host)
    vm = run_vm(host, root)
    assert start(host, root, vm)[1] == DONE
    stranger = uuid.uuid4().hex
    assert host.call("/vm/checkstate", vmUuids=[vm, stranger])["states"] == {vm: "Running", stranger: "Shutdown"}
    host.stop()
    host.start()
    assert running(host) == {vm: "Running"}
    assert host.call("/vm/reboot", uuid=vm, timeout=0) == DONE
    assert running(host) == {vm: "Running"}
    for _ in range(2):
        assert host.call("/vm/stop", uuid=vm, timeout=0) == DONE
        assert running(host) == {}
    assert refused(host.call("/vm/reboot", uuid=vm, timeout=0)), "it does not run"
    assert start(host, root, vm)[1] == DONE


def test_what_is_destroyed_is_gone_and_unknown_vms_are_no_mistake(host: Rig) -> None:
    root = make_volume(host)
    vm = run_vm(host, root)
    for _ in range(2):
        assert host.call("/vm/destroy", uuid=vm) == DONE
        assert running(host) == {}
    assert host.has(root), "its volumes are another matter"
    for path in ("/vm/destroy", "/vm/stop"):
        assert host.call(path, uuid=uuid.uuid4().hex, timeout=0) == DONE
        assert refused(host.call(path, uuid="../x", timeout=0))
    assert refused(host.call("/vm/checkstate", vmUuids=["../x"]))


@pytest.mark.parametrize("runs", [True, False])
def test_snapshots_make_a_chain_and_take_it_down(host: Rig, runs: bool) -> None:
    base = make_volume(host)
    vm = run_vm(host, base) if runs else None
    merge = ONLINE if runs else OFFLINE
    whose: dict[str, Any] = {"vmUuid": vm, "deviceId": 0} if runs else {}
    middle, top = (str(Path(base).with_name(f"{uuid.uuid4().hex}.qcow2")) for _ in range(2))
    taken: dict[str, Any] = {"vmUuid": vm, "volumeUuid": Path(base).stem, "deviceId": 0, "fullSnapshot": False}
    for old, new in ((base, middle), (middle, top)):
        first = host.call(TAKE, volumeInstallPath=old, installPath=new, **taken)
        assert (first["snapshotInstallPath"], first["newVolumeInstallPath"]) == (old, new)
        assert first["size"] >= 0
        again = host.call(TAKE, volumeInstallPath=old, installPath=new, **taken)
        assert {**again, "size": 0} == {**first, "size": 0}, "asked again, it is the same snapshot"
    assert host.has(base) and host.has(middle) and host.has(top)

    for _ in range(2):
        assert host.call(merge, srcPath=base, destPath=top, fullRebase=False, **whose) == DONE
    assert host.call(DELETE, path=middle) == DONE
    for _ in range(2):
        assert host.call(merge, srcPath=None, destPath=top, fullRebase=True, **whose) == DONE
    assert host.call(DELETE, path=base) == DONE
    assert (host.has(base), host.has(middle), host.has(top)) == (False, False, True)
    if runs:
        assert running(host) == {vm: "Running"}
        assert host.call("/vm/stop", uuid=vm, timeout=0) == DONE
    assert start(host, top)[1] == DONE, "it stands alone now"


def test_snapshots_need_their_files(host: Rig) -> None:
    missing, there = host.volume(), make_volume(host)
    beside = str(Path(missing).with_name(f"{uuid.uuid4().hex}.qcow2"))
    assert refused(host.call(TAKE, volumeInstallPath=missing, installPath=beside))
    assert not host.has(beside)
    assert refused(host.call(OFFLINE, srcPath=None, destPath=missing, fullRebase=True))
    assert refused(host.call(OFFLINE, srcPath=missing, destPath=there, fullRebase=False))


def test_running_vms_get_data_volumes(host: Rig) -> None:
    vm = run_vm(host, make_volume(host))
    data = make_volume(host, "data")
    for _ in range(2):
        assert host.call("/vm/attachdatavolume", vmInstanceUuid=vm, volume=volume(data)) == DONE
    other = volume(host.volume("data"))
    assert host.call("/vm/detachdatavolume", vmInstanceUuid=vm, volume=other) == DONE, "it has not got it"
    nobody = uuid.uuid4().hex
    assert refused(host.call("/vm/attachdatavolume", vmInstanceUuid=nobody, volume=volume(data)))


class Web:
    """Serves one file; a path with `slow` keeps the second half back until `go`. Counts who asks."""

    content = b"image" * 20_000

    def __init__(self) -> None:
        web, self.asked, self.go = self, 0, threading.Event()

        class Get(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                web.asked += 1
                self.send_response(404 if "missing" in self.path else 200)
                self.send_header("Content-Length", str(len(web.content)))
                self.end_headers()
                try:
                    half = len(web.content) // 2
                    self.wfile.write(web.content[:half])
                    if "slow" in self.path:
                        web.go.wait()
                    if "short" not in self.path:
                        self.wfile.write(web.content[half:])
                except OSError:
                    self.close_connection = True  # the reader has gone

            def log_message(self, *_args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Get)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.go.set()
    made.server.shutdown()
    made.server.server_close()


def test_images_are_downloaded_and_deleted_once(storage: Rig, web: Web) -> None:
    room = storage.client.call("/sftpbackupstorage/connect", {"storagePath": str(storage.root)})
    assert room["totalCapacity"] >= room["availableCapacity"] > 0
    path = storage.image()
    answers = [storage.call(DOWNLOAD, installPath=path, url=f"{web.url}/i", timeout=30) for _ in range(2)]
    for answer in answers:
        assert (answer["success"], answer["size"]) == (True, len(web.content))
        assert answer["totalCapacity"] >= answer["availableCapacity"] > 0
    assert (web.asked, storage.has(path)) == (1, True)
    storage.stop()
    storage.start()
    assert storage.has(path)
    for _ in range(2):
        assert storage.call(REMOVE, installPath=path) == DONE
        assert not storage.has(path)


@pytest.mark.parametrize("name", ["missing", "short"])
def test_nothing_is_left_of_a_download_that_fails(storage: Rig, web: Web, name: str) -> None:
    path = storage.image()
    assert refused(storage.call(DOWNLOAD, installPath=path, url=f"{web.url}/{name}", timeout=30))
    assert not storage.has(path)
    assert storage.call(DOWNLOAD, installPath=path, url=f"{web.url}/whole", timeout=30)["success"]


def test_a_deletion_ends_the_download(storage: Rig, web: Web) -> None:
    path, answers = storage.image(), []
    thread = threading.Thread(
        target=lambda: answers.append(storage.call(DOWNLOAD, installPath=path, url=f"{web.url}/slow", timeout=30))
    )
    thread.start()
    eventually(lambda: web.asked > 0, "the download has begun")
    assert storage.client.call(REMOVE, {"installPath": path}) == DONE
    web.go.set()
    thread.join(PATIENCE)
    assert [refused(each) for each in answers] == [True]
    assert not storage.has(path)


def test_a_download_gives_up_when_its_time_is_over(storage: Rig, web: Web) -> None:
    path = storage.image()
    assert refused(storage.call(DOWNLOAD, installPath=path, url=f"{web.url}/slow", timeout=1))
    assert not storage.has(path)
