"""Accounts and sessions of a real server: who may do what, and for how long."""

import hashlib
import uuid
from typing import Any

import pytest

from management.server.apis.identity import MAX_SESSIONS

IDENTITY = "org.zstack.header.identity.API"
DIGEST = hashlib.sha512(b"secret").hexdigest()
OTHER = hashlib.sha512(b"another").hexdigest()


def call(server: Any, verb: str, **fields: Any) -> dict[str, Any]:
    """The inside of the answer."""
    (answer,) = server.post(f"{IDENTITY}{verb}Msg", **fields).values()
    assert isinstance(answer, dict)
    return answer


def log_in(server: Any, name: str, digest: str = DIGEST) -> dict[str, Any]:
    return call(server, "LogInByAccount", accountName=name, password=digest)


@pytest.fixture
def account(server: Any, session: dict[str, str]) -> Any:
    name = f"user-{uuid.uuid4().hex[:8]}"
    answer = call(server, "CreateAccount", session=session, name=name, password=DIGEST)
    assert answer["success"], answer
    yield answer["inventory"]
    call(server, "DeleteAccount", session=session, uuid=answer["inventory"]["uuid"])


def test_an_account_is_made_found_and_logged_in(server: Any, session: dict[str, str], account: dict[str, Any]) -> None:
    assert set(account) == {"uuid", "name", "createDate", "lastOpDate"}
    wanted = [{"name": "name", "op": "=", "value": account["name"]}]
    assert call(server, "QueryAccount", session=session, conditions=wanted)["inventories"] == [account]
    inventory = log_in(server, account["name"])["inventory"]
    assert set(inventory) == {"uuid", "accountUuid", "userUuid", "expiredDate", "createDate"}


def test_names_are_unique(server: Any, session: dict[str, str], account: dict[str, Any]) -> None:
    answer = call(server, "CreateAccount", session=session, name=account["name"], password=DIGEST)
    assert answer["error"]["code"] == "SYS.1007"


def test_an_ordinary_account_asks_and_changes_nothing(server: Any, account: dict[str, Any]) -> None:
    mine = {"uuid": log_in(server, account["name"])["inventory"]["uuid"]}
    assert call(server, "QueryAccount", session=mine, conditions=[])["success"] is True
    for verb, fields in {
        "CreateAccount": {"name": "x", "password": DIGEST},
        "DeleteAccount": {"uuid": account["uuid"]},
        "UpdateAccount": {"uuid": account["uuid"], "name": "x"},
    }.items():
        assert call(server, verb, session=mine, **fields)["error"]["code"] == "ID.1002", verb
    others = server.post("org.zstack.header.host.APIReconnectHostMsg", session=mine, uuid="0" * 32)
    assert others["org.zstack.header.message.APIEvent"]["error"]["code"] == "ID.1002"


def test_a_new_password_ends_the_other_sessions(server: Any, account: dict[str, Any]) -> None:
    first, second = (log_in(server, account["name"])["inventory"]["uuid"] for _ in range(2))
    changed = call(server, "UpdateAccount", session={"uuid": first}, uuid=account["uuid"], password=OTHER)
    assert changed["success"] is True
    assert call(server, "ValidateSession", sessionUuid=first)["validSession"] is True
    assert call(server, "ValidateSession", sessionUuid=second)["validSession"] is False
    assert log_in(server, account["name"])["error"]["code"] == "ID.1000"
    assert log_in(server, account["name"], OTHER)["success"] is True


def test_admin_stays(server: Any, session: dict[str, str]) -> None:
    admin = "36c27e8ff05c4780bf6d2fa65700f22e"
    assert call(server, "DeleteAccount", session=session, uuid=admin)["error"]["code"] == "SYS.1007"
    assert call(server, "UpdateAccount", session=session, uuid=admin, name="x")["error"]["code"] == "SYS.1007"


def test_a_deleted_account_is_out_at_once(server: Any, session: dict[str, str]) -> None:
    made = call(server, "CreateAccount", session=session, name=uuid.uuid4().hex, password=DIGEST)["inventory"]
    mine = log_in(server, made["name"])["inventory"]["uuid"]
    assert call(server, "DeleteAccount", session=session, uuid=made["uuid"]) == {"success": True}
    assert call(server, "ValidateSession", sessionUuid=mine)["validSession"] is False
    assert log_in(server, made["name"])["error"]["code"] == "ID.1000"


def test_a_session_is_renewed(server: Any, account: dict[str, Any]) -> None:
    mine = log_in(server, account["name"])["inventory"]["uuid"]
    soon = "2099-01-01 00:00:00.000000"
    server.sql("update SessionVO set expiredDate = ? where uuid = ?", soon, mine)
    assert call(server, "RenewSession", session={"uuid": mine})["inventory"]["uuid"] == mine
    ((expires,),) = server.sql("select expiredDate from SessionVO where uuid = ?", mine)
    assert expires < soon


def test_the_oldest_session_makes_room(server: Any, account: dict[str, Any]) -> None:
    oldest = log_in(server, account["name"])["inventory"]["uuid"]
    insert = (
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < ?) insert into SessionVO "
        "(uuid, accountUuid, expiredDate, createDate) select ? || i, ?, '2099-01-01 00:00:00.000000', "
        "'2098-01-01 00:00:00.000000' from n"
    )
    server.sql(insert, MAX_SESSIONS - 1, account["uuid"][:20], account["uuid"])
    newest = log_in(server, account["name"])["inventory"]["uuid"]
    ((count,),) = server.sql("select count(*) from SessionVO where accountUuid = ?", account["uuid"])
    assert count == MAX_SESSIONS
    assert call(server, "ValidateSession", sessionUuid=oldest)["validSession"] is False
    assert call(server, "ValidateSession", sessionUuid=newest)["validSession"] is True


def test_guessing_is_refused_even_with_the_right_password(server: Any, account: dict[str, Any]) -> None:
    for _ in range(5):
        assert "wrong" in log_in(server, account["name"], OTHER)["error"]["details"]
    error = log_in(server, account["name"])["error"]
    assert error["code"] == "ID.1000"
    assert "try again in" in error["details"]
    # Nobody is somebody else by saying so, not on this host either.
    body = {f"{IDENTITY}LogInByAccountMsg": {"accountName": account["name"], "password": DIGEST}}
    answer = server.send(json=body, headers={"X-Forwarded-For": "10.9.8.7"}).json()
    assert "try again in" in answer["result"]
