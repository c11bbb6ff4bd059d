"""What operators see of a running server: logs, metrics, health, and how it stops."""

import asyncio
import json
import logging
import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from management.server import calls
from management.server.clock import now
from management.server.node import Node
from management.server.work import Recorded
from tests.unit.management.deployed import HOST, Answers, deployed, loopback
from tests.unit.management.nodes import finished
from tests.unit.management.patience import PATIENCE

GET_VERSION = "org.zstack.header.managementnode.APIGetVersionMsg"
QUERY_HOST = "org.zstack.header.host.APIQueryHostMsg"
RECONNECT_HOST = "org.zstack.header.host.APIReconnectHostMsg"


def lines(server: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (server.home / "log").read_text().splitlines()]


def metrics(server: Any) -> dict[str, float]:
    text = server.get("/metrics").text
    found = (re.fullmatch(r"(\S+(?:\{.*\})?) (\S+)", line) for line in text.splitlines())
    return {match[1]: float(match[2]) for match in found if match}


def test_every_answer_has_a_request_id(server: Any) -> None:
    given = server.get("/healthz", headers={"X-Request-Id": "from.a-proxy_1"})
    assert given.headers["x-request-id"] == "from.a-proxy_1"
    for unusable in ("a b", "x" * 65, '"}', ""):
        made = server.get("/healthz", headers={"X-Request-Id": unusable}).headers["x-request-id"]
        assert re.fullmatch("[0-9a-f]{32}", made)
    assert "x-request-id" in server.get("/nowhere").headers


def test_a_call_can_be_followed_through_the_log(server: Any, session: dict[str, str]) -> None:
    body = {RECONNECT_HOST: {"uuid": "0" * 32, "session": session}}
    accepted = server.send(json=body, headers={"X-Request-Id": "follow-me"}).json()
    broken = {"org.zstack.kvm.APIAddKVMHostMsg": {"session": session, "name": "h", "managementIp": "127.0.0.1"}}
    broken["org.zstack.kvm.APIAddKVMHostMsg"]["password"] = "not logged"
    failing = server.send(json=broken).json()
    finished(server, failing["uuid"])
    found = lines(server)
    assert all({"time", "level", "logger", "message"} <= line.keys() for line in found)
    (mine,) = [line for line in found if line.get("request") == "follow-me"]
    assert (mine["message"], mine["call"]) == ("ReconnectHost received", accepted["uuid"])
    about = [line["message"] for line in found if line.get("call") == failing["uuid"]]
    assert about[0] == "AddKVMHost received"
    assert any("AddKVMHost failed: HOST.1000" in message for message in about)
    assert "not logged" not in (server.home / "log").read_text()


class Engine:
    """Runs a call before whoever has accepted it goes on."""

    def __init__(self, *_: object) -> None:
        """It has no database."""

    def accept(self, call_uuid: str, *_: object, **_limits: object) -> Recorded:
        logging.getLogger(__name__).info("it has ended")
        return Recorded(call_uuid, now())


def test_a_call_is_received_in_the_log_before_it_ends(
    node: Node, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(calls, "Work", Engine)
    body = json.dumps({RECONNECT_HOST: {"uuid": "0" * 32}}).encode()
    with caplog.at_level(logging.INFO):
        asyncio.run(calls.Calls(node).accept(body, "127.0.0.1"))
    assert caplog.messages == ["ReconnectHost received", "it has ended"]


def test_metrics(server: Any, session: dict[str, str]) -> None:
    counted = 'sealift_api_calls_total{api="GetVersion",outcome="ok"}'
    refused = 'sealift_api_calls_total{api="QueryHost",outcome="ID.1001"}'
    before = metrics(server)
    server.post(GET_VERSION)
    server.post(QUERY_HOST, conditions=[])
    after = metrics(server)
    assert after[counted] - before.get(counted, 0) == 1
    assert after[refused] - before.get(refused, 0) == 1
    assert after['sealift_api_call_seconds_count{api="GetVersion"}'] >= 1
    assert (after["sealift_node_ready"], after["sealift_api_calls_running"]) == (1, 0)
    assert after["process_resident_memory_bytes"] > 0


def test_health_and_readiness_say_what_is_wrong(make_install: Any) -> None:
    install = make_install().prepare()
    for server in install.serve():
        assert server.get("/readyz").json() == {"status": "ok", "version": "1.1.0"}
        server.sql("update alembic_version set version_num = '1.0.0'")
        answers = [server.get(f"/{path}") for path in ("healthz", "readyz")]
        assert [answer.status_code for answer in answers] == [503, 503]
        assert all(answer.json()["reason"] for answer in answers)
        server.sql("update alembic_version set version_num = '1.1.0'")


@pytest.fixture
def slow_host(make_install: Any) -> Iterator[Any]:
    """A server that knows one host, whose agent needs a second to say how much it has."""
    install, address = make_install().prepare(), loopback()
    began = threading.Event()

    def capacity(_body: dict[str, Any]) -> dict[str, int]:
        began.set()
        time.sleep(1)
        return {"cpuNum": 1, "cpuSpeed": 1, "usedCpu": 0, "totalMemory": 1, "usedMemory": 0}

    ((zone, cluster),) = install.sql("select zoneUuid, uuid from ClusterEO")
    columns = "uuid, zoneUuid, clusterUuid, name, managementIp, hypervisorType, state, status, username, sshPort"
    install.sql(
        f"insert into HostEO ({columns}, totalCpuCapacity, availableCpuCapacity, totalMemoryCapacity,"
        f" availableMemoryCapacity, createDate, lastOpDate)"
        f" values (?, ?, ?, 'h', ?, 'KVM', 'Enabled', 'Disconnected', 'root', 22, 0, 0, 0, 0, ?, ?)",
        *("1" * 12 + "4" + "1" * 3 + "8" + "1" * 15, zone, cluster, address, *["2026-01-01 00:00:00.000000"] * 2),
    )
    answers: Answers = {"/host/echo": {}, "/host/connect": {}, "/host/capacity": capacity}
    with deployed(install.home, {address: (HOST, answers)}) as environment:
        install.variables.update(environment)
        yield install, began


def test_a_call_under_way_is_finished_before_the_server_ends(slow_host: Any) -> None:
    install, began = slow_host
    for server in install.serve():
        assert began.wait(PATIENCE)  # it connects its hosts when it starts
        time.sleep(1.2)
        began.clear()
        body = {RECONNECT_HOST: {"uuid": "1" * 12 + "4" + "1" * 3 + "8" + "1" * 15, "session": server.log_in()}}
        call = server.send(json=body).json()["uuid"]
        assert began.wait(PATIENCE)
    for server in install.serve():
        state = server.get(f"/zstack/api/result/{call}").json()
        answer = {"org.zstack.header.host.APIReconnectHostEvent": {"success": True}}
        assert (state["state"], json.loads(state["result"])) == ("Done", answer)
