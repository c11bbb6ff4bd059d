"""Accepted calls survive the server: killed at random, each is finished or reported failed, none lost, none doubled.

SEALIFT_KILL_CALLS=500 runs the full proof.
"""

import base64
import os
import random
import signal
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from sqlalchemy import URL, text

from management.server.database import Database
from management.server.passwords import set_password
from management.server.schema import migrate
from tests.unit.management.conftest import PASSWORD, Install
from tests.unit.management.nodes import accept, finished, keep_in, process

CALLS = int(os.environ.get("SEALIFT_KILL_CALLS", "24"))
ADD_HOST = "org.zstack.kvm.APIAddKVMHostMsg"
TAKEOVER_SECONDS = 15
SECRET = "open-sesame"


def runs(number: int, *installs: Install) -> int:
    """How often the handler of that call ended, as the servers' logs tell."""
    return sum((install.home / "log").read_text().count(f"host[name:host-{number},") for install in installs)


def add_host(install: Install, number: int, session: dict[str, str], cluster: str) -> str | None:
    # Nobody answers on the discard port: the call ends by itself, after the host's row was made.
    host = {
        "name": f"host-{number}",
        "managementIp": f"127.1.{number // 250}.{number % 250 + 1}",
        "sshPort": 9,
        "clusterUuid": cluster,
    }
    return accept(install, ADD_HOST, **host, username="root", password=SECRET, session=session)


def check(seconds: float, calls: dict[int, str], asked: Install, *others: Install) -> None:
    """Every accepted call has one answer, and its handler did not end twice."""
    codes = [finished(asked, call, seconds)["error"]["code"] for call in calls.values()]
    assert set(codes) <= {"HOST.1000", "SYS.1012"}
    assert "HOST.1000" in codes
    assert [number for number in calls if runs(number, asked, *others) > 1] == []


def cluster_of(database: Database) -> str:
    with database.read() as session:
        return str(session.execute(text('SELECT uuid FROM "ClusterEO"')).scalar_one())


def test_killed_at_random_the_server_keeps_every_call(make_install: Callable[..., Install]) -> None:
    install = make_install().prepare()
    from management.server.config import sqlite_url  # noqa: PLC0415 -- after the path is set

    database, calls, number = Database(sqlite_url(install.database)), {}, 0
    cluster, chance = cluster_of(database), random.Random(7)
    session: dict[str, str] | None = None
    while number < CALLS:
        with process(install) as server:
            session = session or install.log_in()
            for _ in range(max(1, CALLS // 4)):
                if (call := add_host(install, number, session, cluster)) is not None:
                    calls[number] = call
                number += 1
            time.sleep(chance.random())
            server.send_signal(signal.SIGKILL)
            server.wait()
    with process(install):
        check(60, calls, install)
    assert len(calls) == number
    kept = recorded(database)
    assert b"host-0" in kept
    assert SECRET.encode() not in kept
    database.close()


def recorded(database: Database) -> bytes:
    """All that the engine keeps of calls: what they were given and what they answered."""
    with database.read() as session:
        rows = [
            *session.execute(text("SELECT inputs, output FROM workflow_status")),
            *session.execute(text("SELECT output, error FROM operation_outputs")),
        ]
    return b"\n".join(value.encode() + b"\n" + plain(value) for row in rows for value in row if value)


def plain(value: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except ValueError:
        return b""


@pytest.mark.parametrize("begun", [False, True])
def test_a_call_whose_secret_died_with_its_node_is_reported_failed(
    make_install: Callable[..., Install], begun: bool
) -> None:
    install = make_install().prepare()
    from management.server.config import sqlite_url  # noqa: PLC0415 -- after the path is set

    with closing(Database(sqlite_url(install.database))) as database:
        with process(install) as server:
            call = add_host(install, 0, install.log_in(), cluster_of(database))
            assert call is not None
            assert finished(install, call, 30)["error"]["code"] == "HOST.1000"
            server.send_signal(signal.SIGKILL)
            server.wait()
        # As if it had died before that was recorded, or before it began.
        with database.write() as session:
            session.execute(text("UPDATE workflow_status SET status = 'PENDING', output = NULL, completed_at = NULL"))
            session.execute(
                text("DELETE FROM operation_outputs WHERE function_name = 'answer' OR :all"), {"all": not begun}
            )
    with process(install):
        assert finished(install, call, 30)["error"]["code"] == "SYS.1012"
    assert runs(0, install) == 1


def test_finished_calls_are_forgotten_after_a_time(make_install: Callable[..., Install]) -> None:
    install = make_install().prepare()
    install.config.write_text(install.config.read_text() + "keep_calls_days = 0\n")
    with process(install):
        call = accept(install, "org.zstack.header.console.APIReconnectConsoleProxyAgentMsg", session={"uuid": "0"})
        deadline = time.monotonic() + 30
        while httpx.get(f"{install.url}/zstack/api/result/{call}").status_code != 404:
            assert time.monotonic() < deadline, "the call is still kept"
            time.sleep(0.1)


@pytest.fixture
def two_nodes(postgresql: Any, make_install: Callable[..., Install]) -> Iterator[tuple[Database, Install, Install]]:
    url: URL = postgresql.create(uuid.uuid4().hex)
    database = Database(url)
    migrate(database)
    set_password(database, "admin", PASSWORD, if_unset=False)
    nodes = [make_install("one"), make_install("two")]
    for node in nodes:
        keep_in(url, node)
    yield database, nodes[0], nodes[1]
    database.close()


def test_a_killed_node_s_calls_are_taken_over(two_nodes: tuple[Database, Install, Install]) -> None:
    database, first, second = two_nodes
    cluster, calls = cluster_of(database), {}
    with process(first) as victim, process(second):
        session = first.log_in()
        for number in range(CALLS):
            call = add_host(first if number % 2 else second, number, session, cluster)
            assert call is not None
            calls[number] = call
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        killed = time.monotonic()
        while True:
            with database.read() as reading:
                nodes = reading.execute(text('SELECT count(*) FROM "ManagementNodeVO"')).scalar_one()
            if nodes == 1:
                break
            time.sleep(0.1)
        assert time.monotonic() - killed < TAKEOVER_SECONDS
        check(60, calls, second, first)


def test_calls_on_one_resource_keep_their_order(server: Install, session: dict[str, str]) -> None:
    sizes = {"cpuNum": 1, "cpuSpeed": 1000, "memorySize": 1 << 30}
    create = "org.zstack.header.configuration.APICreateInstanceOfferingMsg"
    offering = server.ask(session, create, name="o", **sizes)["inventory"]["uuid"]
    change = "org.zstack.header.configuration.APIChangeInstanceOfferingStateMsg"
    wanted = ["disable", "enable"] * 6
    calls = [accept(server, change, uuid=offering, stateEvent=event, session=session) for event in wanted]
    states = [finished(server, str(call), 30)["inventory"]["state"] for call in calls]
    assert states == ["Disabled", "Enabled"] * 6
    conditions = [{"name": "resourceUuid", "op": "=", "value": offering}]
    entries = server.ask(session, "org.zstack.header.audit.APIQueryAuditMsg", conditions=conditions)["inventories"]
    assert len(entries) == 1 + len(wanted), "each of them has changed something: none overtook another"
