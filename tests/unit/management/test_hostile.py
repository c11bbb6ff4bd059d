"""Calls that mean harm: the right code each time, and a server that goes on."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

HEADER = "org.zstack.header"
QUERY_HOST = f"{HEADER}.host.APIQueryHostMsg"
LOG_IN = f"{HEADER}.identity.APILogInByAccountMsg"
CREATE_ZONE = f"{HEADER}.zone.APICreateZoneMsg"
INJECTION = "' or '1'='1'; drop table SessionVO; --"


@pytest.fixture(autouse=True)
def _still_up(server: Any) -> Iterator[None]:
    yield
    assert server.get("/readyz").status_code == 200
    assert "unexpected error" not in (server.home / "log").read_text()


def code(server: Any, message: str, /, **fields: Any) -> str:
    (answer,) = server.post(message, **fields).values()
    found: str = answer["error"]["code"] if not answer["success"] else "ok"
    return found


@pytest.mark.parametrize(
    "given",
    [
        {"uuid": INJECTION},
        {"uuid": "%"},
        {"uuid": "f" * 32},
        {"uuid": ""},
        None,
    ],
)
def test_forged_sessions(server: Any, given: Any) -> None:
    assert code(server, QUERY_HOST, conditions=[], session=given) == "ID.1001"


def test_what_is_no_text(server: Any, session: dict[str, str]) -> None:
    assert code(server, CREATE_ZONE, name="a\0b", session=session) == "SYS.1007"
    assert code(server, QUERY_HOST, conditions=[], session={"uuid": "\0"}) == "SYS.1007"
    half = server.send(content=f'{{"{CREATE_ZONE}":{{"name":"\\ud800"}}}}')
    assert (half.status_code, half.text[:18]) == (500, "Error when calling")


@pytest.mark.parametrize("given", ["text", 7, [], {"uuid": 7}, {"uuid": ["x"]}, {"uuid": {"$ne": None}}, {"id": "x"}])
def test_sessions_of_the_wrong_shape(server: Any, given: Any) -> None:
    assert code(server, QUERY_HOST, conditions=[], session=given) in ("SYS.1007", "ID.1001")


def test_a_session_of_another_server(server: Any, make_install: Any) -> None:
    for other in make_install().prepare().serve():
        assert code(server, QUERY_HOST, conditions=[], session=other.log_in()) == "ID.1001"


def test_a_session_of_a_deleted_account(server: Any, session: dict[str, str]) -> None:
    digest = "0" * 128
    made = server.ask(session, f"{HEADER}.identity.APICreateAccountMsg", name="shortlived", password=digest)
    login = server.ask({}, LOG_IN, accountName="shortlived", password=digest)
    theirs = {"uuid": login["inventory"]["uuid"]}
    assert code(server, QUERY_HOST, conditions=[], session=theirs) == "ok"
    assert code(server, CREATE_ZONE, name="z", session=theirs) == "ID.1002"
    server.ask(session, f"{HEADER}.identity.APIDeleteAccountMsg", uuid=made["inventory"]["uuid"])
    assert code(server, QUERY_HOST, conditions=[], session=theirs) == "ID.1001"


@pytest.mark.parametrize("where", ["name", "value", "op", "sortBy", "fields", "link"])
def test_injections_into_a_query(server: Any, session: dict[str, str], where: str) -> None:
    condition = {"name": "name", "op": "=", "value": "x"}
    changed: dict[str, Any] = {
        "name": {"conditions": [{**condition, "name": INJECTION}]},
        "value": {"conditions": [{**condition, "value": INJECTION}]},
        "op": {"conditions": [{**condition, "op": INJECTION}]},
        "sortBy": {"conditions": [], "sortBy": INJECTION},
        "fields": {"conditions": [], "fields": [INJECTION]},
        "link": {"conditions": [{**condition, "name": f"zone.{INJECTION}"}]},
    }
    expected = {"value": "ok", "sortBy": "SYS.1000"}.get(where, "SYS.1007")
    assert code(server, QUERY_HOST, session=session, **changed[where]) == expected


def test_an_injection_is_a_name_like_any_other(server: Any, session: dict[str, str]) -> None:
    made = server.ask(session, CREATE_ZONE, name=INJECTION)
    wanted = [{"name": "name", "op": "=", "value": INJECTION}]
    assert server.ask(session, f"{HEADER}.zone.APIQueryZoneMsg", conditions=wanted)["inventories"] == [
        made["inventory"]
    ]


@pytest.mark.parametrize("depth", [100, 100_000])
@pytest.mark.parametrize("opening", ['{"a":', "["])
def test_deep_json_inside_a_call(server: Any, session: dict[str, str], depth: int, opening: str) -> None:
    closing = {"[": "]", "{": "}"}[opening[0]]
    deep = opening * depth + "1" + closing * depth
    body = f'{{"{QUERY_HOST}":{{"session":{json.dumps(session)},"conditions":{deep}}}}}'
    response = server.send(content=body)
    if response.status_code == 200:
        (answer,) = json.loads(response.json()["result"]).values()
        assert answer["error"]["code"] == "SYS.1007"
    else:
        assert (response.status_code, response.text[:18]) == (500, "Error when calling")


@pytest.mark.parametrize(
    "value", ["1" * 5000, "NaN", "-Infinity", "1e999", '"\\u0000"', '"\\ud800"', "[" + "0," * 100_000 + "0]"]
)
def test_values_that_no_column_holds(server: Any, session: dict[str, str], value: str) -> None:
    wanted = f'[{{"name":"totalCpuCapacity","op":"in","value":{value}}}]'
    body = f'{{"{QUERY_HOST}":{{"session":{json.dumps(session)},"conditions":{wanted}}}}}'
    response = server.send(content=body)
    if response.status_code == 200:
        (answer,) = json.loads(response.json()["result"]).values()
        assert answer["error"]["code"] == "SYS.1007"
    else:
        assert (response.status_code, response.text[:18]) == (500, "Error when calling")


@pytest.mark.parametrize(
    "conditions",
    [
        [{"name": "name", "op": "=", "value": "x"}] * 101,
        [{"name": "zone.cluster." * 5 + "name", "op": "=", "value": "x"}],
    ],
)
def test_queries_that_are_too_much(server: Any, session: dict[str, str], conditions: Any) -> None:
    assert code(server, QUERY_HOST, conditions=conditions, session=session) == "SYS.1007"


@pytest.mark.parametrize("path", ["/zstack/api/result/%00", "/zstack/api/result/..%2f..%2fetc", f"/{'x' * 20_000}"])
def test_paths(server: Any, path: str) -> None:
    assert server.get(path).status_code in (400, 404)
