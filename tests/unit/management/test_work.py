"""Accepted calls survive the server: killed at random, each is finished or reported failed, none lost, none doubled.

`make kill` runs the full proof: 500 calls each to one node and to two (SEALIFT_KILL_CALLS=500).
"""

import base64
import os
import random
import signal
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest
from sqlalchemy import URL, text

from management.server import apis
from management.server.config import sqlite_url
from management.server.database import Database
from management.server.messages import discover
from management.server.passwords import set_password
from management.server.schema import migrate
from tests.unit.management.cloud import eventually
from tests.unit.management.conftest import PASSWORD, Install
from tests.unit.management.nodes import TAKEOVER_SECONDS, accept, finished, keep_in, process, running_time
from tests.unit.management.patience import PATIENCE

CALLS = int(os.environ.get("SEALIFT_KILL_CALLS", "24"))
KILLS = 4 if CALLS < 100 else 10
ADD_HOST = "org.zstack.kvm.APIAddKVMHostMsg"
CREATE_ZONE = "org.zstack.header.zone.APICreateZoneMsg"
HOSTS_AMONG = 5
"""One call in so many adds a host: it has a secret, and takes a second. The others make zones: they wait their turn."""
ALL_SECONDS = PATIENCE + CALLS
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


def any_call(install: Install, number: int, session: dict[str, str], cluster: str) -> str | None:
    if number % HOSTS_AMONG == 0:
        return add_host(install, number, session, cluster)
    return accept(install, CREATE_ZONE, name=f"made-{number}", session=session)


def check(seconds: float, calls: dict[int, str], database: Database, asked: Install, *others: Install) -> None:
    """Every accepted call has one answer. What it made is there once; its handler did not end twice."""
    answers = {number: finished(asked, one, seconds) for number, one in calls.items()}
    codes = {number: answer["error"]["code"] for number, answer in answers.items() if not answer["success"]}
    assert set(codes.values()) <= {"HOST.1000", "SYS.1012"}
    assert "HOST.1000" in codes.values()
    assert [number for number in calls if runs(number, asked, *others) > 1] == []
    with database.read() as session:
        made = Counter(session.execute(text('SELECT name FROM "ZoneEO"')).scalars())
    zones = [number for number in calls if number % HOSTS_AMONG]
    assert [number for number in zones if made[f"made-{number}"] != 1 and number not in codes] == []
    assert [number for number in zones if made[f"made-{number}"] > 1] == []
    lost = sum(code == "SYS.1012" for code in codes.values())
    print(
        f"{len(calls)} calls: {len(calls) - len(codes)} done, {lost} reported as cut off, the others refused by hosts"
    )


def cluster_of(database: Database) -> str:
    with database.read() as session:
        return str(session.execute(text('SELECT uuid FROM "ClusterEO"')).scalar_one())


def test_killed_at_random_the_server_keeps_every_call(make_install: Callable[..., Install]) -> None:
    install = make_install().prepare()
    database, calls, number = Database(sqlite_url(install.database)), {}, 0
    cluster, chance = cluster_of(database), random.Random(7)
    session: dict[str, str] | None = None
    while number < CALLS:
        with process(install) as server:
            session = session or install.log_in()
            for _ in range(max(1, CALLS // KILLS)):
                if (accepted := any_call(install, number, session, cluster)) is not None:
                    calls[number] = accepted
                number += 1
            time.sleep(chance.random() / 4)
            server.send_signal(signal.SIGKILL)
            server.wait()
    with process(install):
        check(ALL_SECONDS, calls, database, install)
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
    with closing(Database(sqlite_url(install.database))) as database:
        with process(install) as server:
            call = add_host(install, 0, install.log_in(), cluster_of(database))
            assert call is not None
            assert finished(install, call)["error"]["code"] == "HOST.1000"
            server.send_signal(signal.SIGKILL)
            server.wait()
        # As if it had died before that was recorded, or before it began.
        with database.write() as session:
            session.execute(text("UPDATE workflow_status SET status = 'PENDING', output = NULL, completed_at = NULL"))
            session.execute(
                text("DELETE FROM operation_outputs WHERE function_name = 'answer' OR :all"), {"all": not begun}
            )
    with process(install):
        assert finished(install, call)["error"]["code"] == "SYS.1012"
    assert runs(0, install) == 1


def test_finished_calls_are_forgotten_after_a_time(make_install: Callable[..., Install]) -> None:
    install = make_install().prepare()
    install.config.write_text(install.config.read_text() + "keep_calls_days = 0\n")
    with process(install):
        call = accept(install, "org.zstack.header.console.APIReconnectConsoleProxyAgentMsg", session={"uuid": "0"})
        deadline = time.monotonic() + PATIENCE
        while install.get(f"/zstack/api/result/{call}").status_code != 404:
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


def living(database: Database) -> int:
    with database.read() as session:
        return int(session.execute(text('SELECT count(*) FROM "ManagementNodeVO"')).scalar_one())


def test_a_killed_node_s_calls_are_taken_over(two_nodes: tuple[Database, Install, Install]) -> None:
    database, first, second = two_nodes
    cluster, calls = cluster_of(database), {}
    with process(first) as victim, process(second):
        session = first.log_in()
        for number in range(CALLS):
            accepted = any_call(first if number % 2 else second, number, session, cluster)
            assert accepted is not None
            calls[number] = accepted
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        with running_time() as since:
            eventually(lambda: living(database) == 1, "the dead node is buried")
            assert since() < TAKEOVER_SECONDS
        check(ALL_SECONDS, calls, database, second, first)


def test_every_call_that_changes_something_says_what() -> None:
    """What has no such field makes something new, or looks after this very node."""
    changing = [kind for kind in discover(apis).messages.values() if not kind.sync and not kind.secrets()]
    silent = {kind.verb() for kind in changing if kind.about not in kind.model_fields}
    assert {verb for verb in silent if not verb.startswith(("Create", "Add"))} == {"ReconnectConsoleProxyAgent"}
    assert "CreateVolumeSnapshot" not in silent
    assert "AddDnsToL3Network" not in silent
    assert all(kind.subject({kind.about: "x"}) == "x" for kind in changing)


def test_calls_on_one_resource_keep_their_order(server: Install, session: dict[str, str]) -> None:
    sizes = {"cpuNum": 1, "cpuSpeed": 1000, "memorySize": 1 << 30}
    create = "org.zstack.header.configuration.APICreateInstanceOfferingMsg"
    offering = server.ask(session, create, name="o", **sizes)["inventory"]["uuid"]
    change = "org.zstack.header.configuration.APIChangeInstanceOfferingStateMsg"
    wanted = ["disable", "enable"] * 6
    calls = [accept(server, change, uuid=offering, stateEvent=event, session=session) for event in wanted]
    states = [finished(server, str(call))["inventory"]["state"] for call in calls]
    assert states == ["Disabled", "Enabled"] * 6
    conditions = [{"name": "resourceUuid", "op": "=", "value": offering}]
    entries = server.ask(session, "org.zstack.header.audit.APIQueryAuditMsg", conditions=conditions)["inventories"]
    assert len(entries) == 1 + len(wanted), "each of them has changed something: none overtook another"
