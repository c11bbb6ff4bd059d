"""Timeouts that are changed at run time: obeyed at once, by all nodes, kept, and in the audit log."""

from typing import Any

import pytest

from management.server import apis
from management.server.agentcommands import COMMANDS, INNER
from management.server.apis import audit, globalconfig
from management.server.apis.globalconfig import ChangeApiTimeout
from management.server.database import Database
from management.server.messages import discover
from management.server.schema import migrate
from management.server.timeoutlines import Timeout
from management.server.timeouts import Timeouts
from tests.unit.management.cloud import HEADER
from tests.unit.management.conftest import Install
from tests.unit.management.nodes import process
from tests.unit.management.test_work import two_nodes

__all__ = ["two_nodes"]  # a fixture

GET, CHANGE = (f"org.zstack.core.timeout.API{verb}Msg" for verb in ("GetApiTimeouts", "ChangeApiTimeout"))
REGISTRY = discover(apis)
START = REGISTRY.messages[f"{HEADER}.vm.APIStartVmInstanceMsg"]
START_COMMAND, DOWNLOAD = COMMANDS["/vm/start"], COMMANDS["/sftpbackupstorage/download"]
HOUR = 3_600_000


def test_they_are_changed_at_run_time(server: Install, session: dict[str, str]) -> None:
    def now_() -> dict[str, Any]:
        (found,) = server.ask(session, GET, apiName=START.wire_name)["inventories"]
        return dict(found)

    every = server.ask(session, GET)["inventories"]
    assert {each["apiName"] for each in every} == set(REGISTRY.messages)
    assert now_() == {"apiName": START.wire_name, "timeout": HOUR / 2, "innerNames": [], "source": "default"}
    value = f"{START_COMMAND}, {DOWNLOAD}; 6h"
    changed = server.ask(session, CHANGE, apiName=START.wire_name, value=value)["inventory"]
    assert changed == now_()
    assert (changed["timeout"], changed["innerNames"]) == (6 * HOUR, [START_COMMAND, DOWNLOAD])
    assert changed["source"] == "changed"
    server.ask(session, CHANGE, apiName=START.wire_name, value="90s")
    assert (now_()["timeout"], now_()["innerNames"]) == (90_000, [START_COMMAND, DOWNLOAD])
    wanted = [{"name": "resourceType", "op": "=", "value": "ApiTimeoutVO"}]
    audit = server.ask(session, f"{HEADER}.audit.APIQueryAuditMsg", conditions=wanted)["inventories"]
    assert [(entry["action"], entry["apiName"]) for entry in audit] == [
        ("create", "ChangeApiTimeout"),
        ("update", "ChangeApiTimeout"),
    ]
    server.ask(session, CHANGE, apiName=START.wire_name)
    assert now_()["source"] == "default"


@pytest.mark.parametrize(
    ("api", "value", "code"),
    [
        ("org.zstack.APINoneMsg", "6h", "SYS.1003"),
        (START.wire_name, "6x", "SYS.1007"),
        (START.wire_name, "NoSuchCmd; 6h", "SYS.1007"),
    ],
)
def test_changes_that_are_refused(server: Install, session: dict[str, str], api: str, value: str, code: str) -> None:
    assert server.ask(session, CHANGE, apiName=api, value=value)["error"]["code"] == code


def test_a_change_is_kept_and_holds_on_both_databases(database_url: Any) -> None:
    class Node:
        database = Database(database_url)
        timeouts = Timeouts(REGISTRY, {})
        registry = REGISTRY

    other = Node()
    other.timeouts = Timeouts(REGISTRY, {})
    migrate(Node.database)
    node: Any = Node()
    for each in (node, other):
        globalconfig.join(each)  # type: ignore[arg-type]
        audit.join(each)  # type: ignore[arg-type]
    long = max(REGISTRY.messages, key=len)
    change: Any = ChangeApiTimeout
    change(apiName=long, value=f"{', '.join(sorted(INNER))}; 7s").handle(node, None)
    assert other.timeouts.effective()[long].timeout == Timeout(7000, tuple(sorted(INNER)))
    migrate(Node.database, "1.0.0")
    migrate(Node.database)
    assert other.timeouts.effective()[long].source == "default"
    Node.database.close()


def test_a_change_on_one_node_holds_on_the_other(two_nodes: tuple[Database, Install, Install]) -> None:
    _, first, second = two_nodes
    with process(first), process(second):
        session = first.log_in()
        assert first.ask(session, CHANGE, apiName=START.wire_name, value="7s")["inventory"]["timeout"] == 7000
        (seen,) = second.ask(session, GET, apiName=START.wire_name)["inventories"]
        assert (seen["timeout"], seen["source"]) == (7000, "changed")
        body = {START.wire_name: {"uuid": "0" * 32, "session": session}}
        assert second.send(json=body).json()["timeout"] == 7000
