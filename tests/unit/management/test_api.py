"""The HTTP API of a real server: envelopes, sessions, errors, results."""

import json
import socket
import tempfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import select

from management.server.models.console import ConsoleProxyAgentVO
from management.server.node import Node
from tests.unit.management.patience import PATIENCE

QUERY_NODE = "org.zstack.header.managementnode.APIQueryManagementNodeMsg"
QUERY_CONSOLE = "org.zstack.header.console.APIQueryConsoleProxyAgentMsg"
RECONNECT_CONSOLE = "org.zstack.header.console.APIReconnectConsoleProxyAgentMsg"
RECONNECT_HOST = "org.zstack.header.host.APIReconnectHostMsg"
ADD_HOST = "org.zstack.kvm.APIAddKVMHostMsg"


def test_health_says_version(server: Any) -> None:
    response = server.get("/healthz")
    assert (response.status_code, response.json()) == (200, {"status": "ok", "version": "1.1.0"})


@pytest.mark.parametrize("path", ["/zstack/api", "/zstack/api/"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_sync_calls_are_answered_at_once(server: Any, path: str, method: str) -> None:
    body: dict[str, Any] = {"org.zstack.header.managementnode.APIGetVersionMsg": {}}
    answer = httpx.request(method, server.url + path, json=body, timeout=PATIENCE).json()
    assert set(answer) == {"state", "createdDate", "finishedDate", "result"}
    reply = {"org.zstack.header.managementnode.APIGetVersionReply": {"version": "1.1.0", "success": True}}
    assert json.loads(answer["result"]) == reply


def test_async_calls_are_polled(server: Any, session: dict[str, str]) -> None:
    accepted = server.send(json={RECONNECT_CONSOLE: {"session": session}}).json()
    assert accepted["state"] == "Processing"
    assert set(accepted) == {"uuid", "state", "createdDate", "timeout"}
    answer = server.post(RECONNECT_CONSOLE, session=session)
    (event,) = answer.values()
    assert event["success"] is True
    (outcome,) = event["inventory"].values()
    # No agent travels with this install: the deployment fails and says so, the call itself succeeds.
    assert outcome["code"] == "SYS.1006"
    assert "release is incomplete" in outcome["details"]


def test_unknown_result_is_404(server: Any) -> None:
    assert server.get(f"/zstack/api/result/{'0' * 32}").status_code == 404


@pytest.mark.parametrize(
    "body", [b"", b"nonsense", b"[]", b"{}", b'{"a":{},"b":{}}', b'{"x.APINoneMsg":{}}', b"[" * 100_000]
)
def test_bodies_that_are_no_calls(server: Any, body: bytes) -> None:
    response = server.send(content=body)
    assert response.status_code == 500
    assert response.text.startswith("Error when calling /zstack/api")


def test_a_huge_body_is_refused(server: Any) -> None:
    assert server.send(content=b"x" * (5 << 20)).status_code == 413


@pytest.mark.parametrize("given", [None, {}, {"uuid": None}, {"uuid": "0" * 32}])
def test_calls_need_a_session(server: Any, given: dict[str, Any] | None) -> None:
    fields: dict[str, Any] = {"conditions": []} | ({"session": given} if given is not None else {})
    answer = server.post(QUERY_NODE, **fields)
    assert answer["org.zstack.header.message.APIReply"]["error"]["code"] == "ID.1001"


def test_an_expired_session_is_refused(server: Any) -> None:
    session = server.log_in()
    past = "2001-01-01 00:00:00.000000"
    server.sql("update SessionVO set expiredDate = ? where uuid = ?", past, session["uuid"])
    answer = server.post(QUERY_NODE, conditions=[], session=session)
    assert "expired" in answer["org.zstack.header.message.APIReply"]["error"]["details"]


def test_log_out_ends_the_session(server: Any) -> None:
    session = server.log_in()
    out = server.post("org.zstack.header.identity.APILogOutMsg", session=session)
    assert out == {"org.zstack.header.identity.APILogOutReply": {"success": True}}
    answer = server.post(QUERY_NODE, conditions=[], session=session)
    assert answer["org.zstack.header.message.APIReply"]["success"] is False


@pytest.mark.parametrize("account", ["admin", "nobody"])
def test_wrong_logins_look_the_same(server: Any, account: str) -> None:
    answer = server.post("org.zstack.header.identity.APILogInByAccountMsg", accountName=account, password="0" * 128)
    error = answer["org.zstack.header.identity.APILogInReply"]["error"]
    assert error == {
        "code": "ID.1000",
        "description": "Login was refused",
        "details": "the account name or the password is wrong",
    }


def test_a_missing_resource_is_named(server: Any, session: dict[str, str]) -> None:
    answer = server.post(RECONNECT_HOST, uuid="0" * 32, session=session)
    error = answer["org.zstack.header.message.APIEvent"]["error"]
    assert error["code"] == "SYS.1003"
    assert "type:HostVO" in error["details"]


def test_all_mistakes_are_named_at_once(server: Any, session: dict[str, str]) -> None:
    answer = server.post(ADD_HOST, session=session, managementIp="nonsense", colour="red", password="hidden!")
    error = answer["org.zstack.header.message.APIEvent"]["error"]
    assert error["code"] == "SYS.1007"
    for field in ("name", "managementIp", "colour"):
        assert f"field[{field}]" in error["details"]
    assert "hidden!" not in json.dumps(answer)


def test_a_host_that_cannot_be_reached_is_not_added(server: Any, session: dict[str, str]) -> None:
    answer = server.post(ADD_HOST, session=session, name="h", managementIp="127.0.0.1", password="p")
    error = answer["org.zstack.kvm.APIAddKVMHostEvent"]["error"]
    assert error["code"] == "HOST.1000"
    assert "id_ed25519" in error["cause"]["details"]
    rows = server.post("org.zstack.header.host.APIQueryHostMsg", conditions=[], session=session)
    assert rows["org.zstack.header.host.APIQueryHostReply"]["inventories"] == []


def test_console_agent_has_the_keys_of_the_transcript(server: Any, session: dict[str, str]) -> None:
    answer = server.post(QUERY_CONSOLE, conditions=[], session=session)
    (row,) = answer["org.zstack.header.console.APIQueryConsoleProxyAgentReply"]["inventories"]
    keys = {"createDate", "description", "lastOpDate", "managementIp", "state", "status", "type", "uuid"}
    assert set(row) == keys
    node = server.post(QUERY_NODE, conditions=[], session=session)
    (node_row,) = node["org.zstack.header.managementnode.APIQueryManagementNodeReply"]["inventories"]
    assert row["uuid"] == node_row["uuid"]
    assert row["description"] == f"Console proxy agent running on the management node[uuid:{row['uuid']}]"
    assert (row["type"], row["state"]) == ("ManagementServerConsoleProxy", "Enabled")


def test_a_console_agent_is_known_before_anybody_can_call(node: Node) -> None:
    node.start()
    with node.database.read() as session:
        (agent,) = session.scalars(select(ConsoleProxyAgentVO))
    assert (agent.uuid, agent.status) == (node.uuid, "Disconnected")
    node.stop()
    node.close()


def test_an_unknown_console_agent_is_an_entry_not_a_failure(server: Any, session: dict[str, str]) -> None:
    answer = server.post(RECONNECT_CONSOLE, agentUuids=["dead"], session=session)
    event = answer["org.zstack.header.console.APIReconnectConsoleProxyAgentEvent"]
    assert event["success"] is True
    assert event["inventory"]["dead"]["code"] == "SYS.1007"


def test_two_servers_cannot_share_a_port(server: Any, make_install: Any) -> None:
    other = make_install().prepare()
    other.config.write_text(other.config.read_text().replace(str(other.port), str(server.port)))
    done = other.run("serve")
    assert done.returncode == 1
    assert "cannot listen" in done.stderr


def test_systemd_is_told_when_it_is_ready(make_install: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    install = make_install().prepare()
    with (
        tempfile.TemporaryDirectory(dir="/var/tmp") as folder,  # the path of a socket may have 107 bytes
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified,
    ):
        address = str(Path(folder, "notify"))
        notified.bind(address)
        notified.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        for running in install.serve():
            assert notified.recv(64) == b"READY=1"
            assert running.post("org.zstack.header.managementnode.APIIsReadyToGoMsg")


def test_no_secret_is_logged_or_readable_by_others(server: Any, session: dict[str, str]) -> None:
    server.post(QUERY_NODE, conditions=[], session=session)
    log = (server.home / "log").read_text()
    assert "battery" not in log
    assert session["uuid"] not in log
    assert server.database.stat().st_mode & 0o077 == 0
