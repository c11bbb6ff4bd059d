"""The typed client is what the server's classes say, and works against a real server."""

from pathlib import Path
from typing import Any

import pytest

from management.client.calls import Condition
from management.client.connection import Connection, Server
from management.client.errors import ApiFailure, ClientError
from management.client.messages import CreateZone, QueryZone, ReconnectHost
from management.server import apis
from management.server.clientcode import client_code
from management.server.messages import discover

PASSWORD = "correct horse 'battery\""
CLIENT = Path(__file__).parents[3] / "management" / "client" / "messages.py"


def test_written_again_it_is_the_same() -> None:
    assert CLIENT.read_text() == client_code(discover(apis)), "the server's classes have changed: make client"


def test_calls_and_answers(server: Any) -> None:
    with Connection(Server(port=server.port)) as connection:
        connection.log_in("admin", PASSWORD)
        made = connection.ask(CreateZone(name="of the client"))["inventory"]
        wanted = [Condition("uuid", "in", [made["uuid"]]), Condition("description", "is null")]
        assert connection.ask(QueryZone(conditions=wanted))["inventories"] == [made]
        assert connection.ask(QueryZone(conditions=wanted, fields=["name"]))["inventories"] == [{"name": made["name"]}]
        assert connection.ask(QueryZone(conditions=wanted, count=True))["total"] == 1
        with pytest.raises(ApiFailure, match="HostVO") as caught:
            connection.ask(ReconnectHost(uuid="0" * 32))
        assert caught.value.code == "SYS.1003"


def test_nobody_there(port: int) -> None:
    with Connection(Server(port=port)) as connection, pytest.raises(ClientError, match="management server running"):
        connection.catalogue()


@pytest.mark.parametrize(
    ("server", "url"),
    [
        (Server(), "http://127.0.0.1:8080/zstack/api"),
        (Server("localhost", 1), "http://localhost:1/zstack/api"),
        (Server("::1"), "http://[::1]:8080/zstack/api"),
        (Server("192.0.2.1"), "https://192.0.2.1:8443/zstack/api"),
        (Server("cloud.example", 1), "https://cloud.example:1/zstack/api"),
        (Server("localhost", ca=Path("x")), "https://localhost:8443/zstack/api"),
    ],
)
def test_where_a_server_is(server: Server, url: str) -> None:
    assert server.url == url
