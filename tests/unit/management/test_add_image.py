"""Images by URL: a real server, a simulated backup storage, and a web server that takes its time."""

import os
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from management.server.apis.imagestates import AddImage
from management.server.compute.imagestore import AGENT
from management.server.models.identity import ADMIN_UUID
from tests.unit.management.cloud import HEADER, TOO_LITTLE, Cloud, cloud, eventually
from tests.unit.management.conftest import Install
from tests.unit.management.nodes import accept, finished, process
from tests.unit.management.patience import PATIENCE
from tests.unit.management.simulator import Fault, Simulator
from tests.unit.management.test_timeout_changes import CHANGE, GET, HOUR
from tests.unit.management.test_timeouts import codes

ADD, DELETE = (f"{HEADER}.image.API{verb}Msg" for verb in ("AddImage", "DeleteImage"))
DELETE_STORAGE = f"{HEADER}.storage.backup.APIDeleteBackupStorageMsg"
LINE = (
    "ApiTimeout.org.zstack.header.image.APIAddImageMsg= org.zstack.header.storage.backup.DownloadImageMsg,"
    " org.zstack.storage.backup.sftp.SftpBackupStorageCommands$DownloadCmd,"
    " org.zstack.storage.ceph.backup.CephBackupStorageBase$DownloadCmd; 6h\n"
)
BLOCKS, BLOCK = 8, b"x" * 1000


class Web:
    """Serves one file, whose second half it keeps back while `slow` is set."""

    def __init__(self) -> None:
        self.quick = threading.Event()
        self.quick.set()
        quick = self.quick

        class Get(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200 if "missing" not in self.path else 404)
                self.send_header("Content-Length", str(BLOCKS * len(BLOCK)))
                self.end_headers()
                try:
                    for number in range(BLOCKS):
                        if number == BLOCKS // 2:
                            self.wfile.flush()
                            quick.wait()
                        self.wfile.write(BLOCK)
                except OSError:
                    self.close_connection = True  # the reader has gone

            def log_message(self, *_args: Any) -> None:
                """Say nothing."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Get)
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/zstack%20image.qcow2"


@pytest.fixture(scope="module")
def web() -> Iterator[Web]:
    made = Web()
    yield made
    made.quick.set()
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    (install.home / "timeouts.properties").write_text(LINE)
    with cloud(install, 20_000 + os.getpid() % 5000) as made:
        for _ in install.serve():
            made.fill()
            yield made


@pytest.fixture
def storages(site: Cloud, web: Web) -> Iterator[list[tuple[str, Simulator]]]:
    """Two backup storages: their uuids and their agents."""
    made = []
    for number, host in enumerate(site.hosts):
        agent = Simulator(host.address, AGENT.port, host.token)
        agent.start()
        made.append((site.add_storage(f"bs{number}", host.address), agent))
    yield made
    web.quick.set()
    for uuid, agent in made:
        site.call(DELETE_STORAGE, uuid=uuid)
        if agent._server is not None:
            agent.stop()


def add(site: Cloud, web: Web, *storages: tuple[str, Simulator], **more: Any) -> dict[str, Any]:
    where = {"backupStorageUuids": [uuid for uuid, _ in storages]}
    return site.call(ADD, **{"name": "i", "url": web.url, **where, **more})


def images(site: Cloud) -> list[Any]:
    return site.install.sql("select uuid, status from ImageEO where deleted is null and name <> 'trial'")


def test_the_note_s_line_gives_six_hours_to_call_and_agent(
    site: Cloud, web: Web, storages: list[tuple[str, Simulator]]
) -> None:
    (found,) = site.call(GET, apiName=ADD)["inventories"]
    assert (found["timeout"], len(found["innerNames"]), found["source"]) == (6 * HOUR, 3, "file")
    made = add(site, web, *storages)["inventory"]
    path = f"/zstack_bs/rootVolumeTemplates/acct-{ADMIN_UUID}/{made['uuid']}/zstack image.qcow2.template"
    assert (made["status"], made["state"], made["size"], made["url"]) == ("Ready", "Enabled", 8000, web.url)
    refs = made["backupStorageRefs"]
    assert [(ref["status"], ref["installPath"]) for ref in refs] == [("Ready", path)] * 2
    for _, agent in storages:
        assert agent.files == {path: 8000}
        (asked,) = agent.asked("/sftpbackupstorage/download")
        assert 6 * 3600 - PATIENCE <= asked["timeout"] <= 6 * 3600, "in seconds, not milliseconds"
    assert codes(add(site, web, *storages)["error"]) == ["SYS.1006"], "there is one image of a name"
    assert site.call(DELETE, uuid=made["uuid"]) == {"success": True}
    assert [agent.files for _, agent in storages] == [{}, {}]


def test_by_default_it_has_three_hours(server: Install, session: dict[str, str]) -> None:
    (found,) = server.ask(session, GET, apiName=AddImage.wire_name)["inventories"]
    assert (found["timeout"], len(found["innerNames"]), found["source"]) == (3 * HOUR, 3, "default")


@pytest.mark.parametrize("how", ["changed", "own"])
def test_two_seconds_are_not_enough_and_leave_nothing(
    site: Cloud, web: Web, storages: list[tuple[str, Simulator]], how: str
) -> None:
    web.quick.clear()
    own = {"timeout": 2000} if how == "own" else {}
    if how == "changed":
        assert site.call(CHANGE, apiName=ADD, value="2s")["inventory"]["source"] == "changed"
    try:
        error = add(site, web, storages[0], **own)["error"]
    finally:
        site.call(CHANGE, apiName=ADD)
    assert codes(error) == ["SYS.1001", "SYS.1002", "SYS.1001"]
    assert (ADD in error["details"], "2 s" in error["details"]) == (True, True)
    assert "/sftpbackupstorage/download" in error["cause"]["cause"]["details"]
    assert images(site) == []
    assert site.install.sql("select * from ImageBackupStorageRefVO") == []
    web.quick.set()
    agent = storages[0][1]
    eventually(lambda: not agent.halves and not agent.files, "no half of a file is left")
    assert add(site, web, storages[0])["inventory"]["status"] == "Ready", "a later call works"
    site.call(DELETE, uuid=images(site)[0][0])


def test_an_agent_that_hangs_is_cleared_by_the_collection(
    site: Cloud, web: Web, storages: list[tuple[str, Simulator]]
) -> None:
    uuid, agent = storages[0]
    late = threading.Event()
    agent.faults["/sftpbackupstorage/download"] = Fault(until=late, times=1)
    agent.faults["/sftpbackupstorage/delete"] = Fault(refused="not yet")
    assert add(site, web, storages[0], timeout=TOO_LITTLE)["error"]["code"] == "SYS.1001"
    (job,) = [job for job in site.jobs() if job["name"].startswith(f"delete-image-{uuid}-")]
    late.set()
    eventually(lambda: agent.files != {}, "the late download has happened")
    agent.faults.clear()
    site.collects(lambda: not site.unfinished(), "the job has run")
    assert agent.files == {}
    assert job["runnerClass"].endswith("GCDeleteImageRunner")


def test_one_storage_that_has_it_is_enough(site: Cloud, web: Web, storages: list[tuple[str, Simulator]]) -> None:
    storages[1][1].faults["/sftpbackupstorage/download"] = Fault(refused="disk full")
    made = add(site, web, *storages)["inventory"]
    assert [ref["backupStorageUuid"] for ref in made["backupStorageRefs"]] == [storages[0][0]]
    assert site.call(DELETE_STORAGE, uuid=storages[0][0]) == {"success": True}
    assert images(site) == [], "an image that is nowhere else goes with its storage"


def test_what_cannot_be_downloaded_is_not_added(site: Cloud, web: Web, storages: list[tuple[str, Simulator]]) -> None:
    error = add(site, web, storages[0], url=f"{web.url}missing")["error"]
    assert codes(error) == ["SYS.1002", "SYS.1006"]
    assert "404" in error["cause"]["details"]
    storages[1][1].stop()
    assert codes(add(site, web, storages[1])["error"]) == ["SYS.1002", "SYS.1015"]
    assert images(site) == []


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"url": "ftp://x/y"}, "SYS.1007"),
        ({"format": "vhd"}, "SYS.1007"),
        ({"backupStorageUuids": []}, "SYS.1007"),
        ({"backupStorageUuids": ["0" * 32]}, "SYS.1003"),
    ],
)
def test_mistakes(site: Cloud, web: Web, wrong: dict[str, Any], code: str) -> None:
    assert add(site, web, ("0" * 32, site.hosts[0]), **wrong)["error"]["code"] == code
    assert images(site) == []


def test_deleted_while_it_is_downloaded(site: Cloud, web: Web, storages: list[tuple[str, Simulator]]) -> None:
    web.quick.clear()
    answers: list[dict[str, Any]] = []
    adding = threading.Thread(target=lambda: answers.append(add(site, web, storages[0])))
    adding.start()
    agent = storages[0][1]
    eventually(lambda: any(agent.halves.values()), "the first half is there")
    assert site.call(DELETE, uuid=images(site)[0][0]) == {"success": True}
    web.quick.set()
    adding.join(PATIENCE)
    assert answers[0]["error"]["code"] == "SYS.1002"
    assert (images(site), agent.files, agent.halves) == ([], {}, {})


def test_a_server_that_is_killed_leaves_no_half_image(tmp_path_factory: pytest.TempPathFactory, web: Web) -> None:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    web.quick.clear()
    with cloud(install, 40_000 + os.getpid() % 5000) as site:
        agent = Simulator(site.hosts[0].address, AGENT.port, site.hosts[0].token)
        agent.start()
        with process(install) as server:
            site.fill()
            where = {"backupStorageUuids": [site.add_storage("bs", agent.address)]}
            call = accept(install, ADD, name="i", url=web.url, session=site.session, **where)
            assert call is not None
            eventually(lambda: any(agent.halves.values()), "the first half is there")
            server.send_signal(signal.SIGKILL)
            server.wait()
        with process(install):
            assert finished(install, call)["error"]["code"] == "SYS.1012"
            eventually(lambda: images(site) == [], "the image is taken away")
            web.quick.set()
            eventually(lambda: not agent.halves and not agent.files, "so is its file")
        agent.stop()
