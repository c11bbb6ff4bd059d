"""Every query operator against real rows in a real database, compared with what Python says."""

import operator
import os
import re
import uuid
from collections.abc import Callable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from management.server import apis
from management.server.apis.images import IMAGE, QueryImage
from management.server.apis.networkservices import QueryNetworkServiceL3NetworkRef
from management.server.apis.vmqueries import VIRTUAL_ROUTER, VM
from management.server.clock import to_wire
from management.server.config import sqlite_url
from management.server.database import Database
from management.server.errors import ApiError
from management.server.messages import Caller, discover
from management.server.models.images import ImageVO
from management.server.models.tags import SystemTagVO, UserTagVO
from management.server.schema import migrate

BEGIN = datetime(2026, 3, 1, 12, 0, 0)
ROWS: list[dict[str, Any]] = [
    {"name": "Alpha", "size": 10, "description": "first"},
    {"name": "beta", "size": 20, "description": None},
    {"name": "Gamma%", "size": 3 << 30, "description": "It's 100%"},
    {"name": "delta_x", "size": None, "description": "first"},
    {"name": "C:\\a", "size": 20, "description": "a_b"},
]
TAGS = {"Alpha": ["golden", "for Tests"], "beta": ["golden"], "Gamma%": [], "delta_x": ["for tests"], "C:\\a": []}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    if request.param == "sqlite":
        url = sqlite_url(tmp_path_factory.mktemp("query") / "x.db")
    else:
        url = request.getfixturevalue("postgresql").create("query")
    discover(apis)
    database = Database(url)
    migrate(database)
    with database.write() as session:
        for number, row in enumerate(ROWS):
            moment = BEGIN + timedelta(hours=number)
            fixed = {"url": "u", "format": "qcow2", "mediaType": "m", "platform": "Linux", "state": "Enabled"}
            image = ImageVO(uuid=uuid.uuid4().hex, status="Ready", createDate=moment, lastOpDate=moment, **fixed, **row)
            session.add(image)
            of_it = {"resourceUuid": image.uuid, "resourceType": "ImageVO"}
            for tag in TAGS[row["name"]]:
                session.add(UserTagVO(uuid=uuid.uuid4().hex, tag=tag, **of_it))
            session.add(SystemTagVO(uuid=uuid.uuid4().hex, tag=f"number::{number}", **of_it))
            # Of something else that happens to have the same uuid.
            other = {**of_it, "resourceType": "HostVO"}
            session.add(UserTagVO(uuid=uuid.uuid4().hex, tag="rare", **other))
    yield SimpleNamespace(database=database)
    database.close()


def names(node: Any, *conditions: tuple[str, str, Any], **options: Any) -> list[str]:
    wire = [{"name": n, "op": o, "value": v} for n, o, v in conditions]
    message = QueryImage.model_validate({"conditions": wire, **options})
    return [row["name"] for row in message.handle(node, Caller())["inventories"]]


PYTHON: list[tuple[tuple[str, str, Any], Callable[[dict[str, Any]], bool]]] = [
    (("name", "=", "ALPHA"), lambda r: r["name"].lower() == "alpha"),
    (("name", "!=", "alpha"), lambda r: r["name"].lower() != "alpha"),
    (("name", "in", "alpha, BETA"), lambda r: r["name"].lower() in ("alpha", "beta")),
    (("name", "not in", "alpha,beta"), lambda r: r["name"].lower() not in ("alpha", "beta")),
    (("name", "like", "%a"), lambda r: r["name"].lower().endswith("a")),
    (("name", "not like", "%a%"), lambda r: "a" not in r["name"].lower()),
    (("name", "=", "' or 1=1 --"), lambda r: False),
    (("size", "=", "20"), lambda r: r["size"] == 20),
    (("size", ">", "10"), lambda r: r["size"] is not None and r["size"] > 10),
    (("size", ">=", 20), lambda r: r["size"] is not None and r["size"] >= 20),
    (("size", "<", "30"), lambda r: r["size"] is not None and r["size"] < 30),
    (("size", "=", 3 << 30), lambda r: r["size"] == 3 << 30),
    (("size", "<=", "20"), lambda r: r["size"] is not None and r["size"] <= 20),
    (("size", "in", "10,30"), lambda r: r["size"] in (10, 30)),
    (("size", "is null", ""), lambda r: r["size"] is None),
    (("size", "is not null", None), lambda r: r["size"] is not None),
]


@pytest.mark.parametrize(("condition", "expected"), PYTHON, ids=[" ".join(map(str, c)) for c, _ in PYTHON])
def test_operators(node: Any, condition: tuple[str, str, Any], expected: Callable[..., bool]) -> None:
    assert names(node, condition) == [row["name"] for row in ROWS if expected(row)]


def test_conditions_are_anded(node: Any) -> None:
    assert names(node, ("size", ">", "10"), ("name", "like", "b%")) == ["beta"]


def test_dates_compare_as_printed(node: Any) -> None:
    second = to_wire(BEGIN + timedelta(hours=1))
    assert names(node, ("createDate", ">=", second)) == ["beta", "Gamma%", "delta_x", "C:\\a"]


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (("__userTag__", "=", "GOLDEN"), ["Alpha", "beta"]),
        (("__userTag__", "!=", "golden"), ["Gamma%", "delta_x", "C:\\a"]),
        (("__userTag__", "in", "golden,for tests"), ["Alpha", "beta", "delta_x"]),
        (("__userTag__", "not in", "golden,for tests"), ["Gamma%", "C:\\a"]),
        (("__userTag__", "like", "for%"), ["Alpha", "delta_x"]),
        (("__userTag__", "is null", ""), ["Gamma%", "C:\\a"]),
        (("__userTag__", "is not null", ""), ["Alpha", "beta", "delta_x"]),
        (("__userTag__", "=", "number::1"), []),
        (("__userTag__", "=", "rare"), []),
        (("__userTag__", "=", "' or 1=1 --"), []),
        (("__systemTag__", "=", "number::1"), ["beta"]),
        (("__systemTag__", "not like", "number::%"), []),
    ],
)
def test_tags(node: Any, condition: tuple[str, str, Any], expected: list[str]) -> None:
    assert names(node, condition) == expected


def test_tags_of_a_narrower_or_broader_kind() -> None:
    assert VM.kinds() == VIRTUAL_ROUTER.kinds() == {"VmInstanceVO", "VirtualRouterVmVO"}


def test_a_kind_without_a_uuid_has_no_tags(node: Any) -> None:
    condition = [{"name": "__userTag__", "op": "=", "value": "x"}]
    with pytest.raises(ApiError, match="no such field"):
        QueryNetworkServiceL3NetworkRef.model_validate({"conditions": condition}).handle(node, Caller())


def test_pages_and_order(node: Any) -> None:
    assert names(node) == [row["name"] for row in ROWS]
    assert names(node, start=1, limit=2) == ["beta", "Gamma%"]
    assert names(node, limit=0) == []
    assert names(node, ("size", "is not null", ""), sortBy="size", sortDirection="desc", limit=1) == ["Gamma%"]


def test_fields_and_nulls(node: Any) -> None:
    message = QueryImage.model_validate({"conditions": [], "fields": ["name", "size"]})
    rows = message.handle(node, Caller())["inventories"]
    assert rows[0] == {"name": "Alpha", "size": 10}
    assert rows[3] == {"name": "delta_x"}


def test_counts(node: Any) -> None:
    count = QueryImage.model_validate({"conditions": [], "count": "true"}).handle(node, Caller())
    assert count == {"total": len(ROWS)}
    both = QueryImage.model_validate({"conditions": [], "replyWithCount": True, "limit": 1})
    answer = both.handle(node, Caller())
    assert answer["total"] == len(ROWS)
    assert len(answer["inventories"]) == 1


@pytest.mark.parametrize(
    ("condition", "text"),
    [
        (("colour", "=", "1"), "no such field"),
        (("__class__", "=", "1"), "no such field"),
        (("name", "~~", "1"), "unknown query operator"),
        (("name", "=", None), "needs a value"),
        (("size", "=", "many"), "type int"),
        (("createDate", ">", "tomorrow"), "type datetime"),
        (("size", "<", "9" * 30), "type int"),
        (("name", "=", "a\0"), "type str"),
        (("name", "like", "\ud800"), "type str"),
    ],
)
def test_wrong_conditions(node: Any, condition: tuple[str, str, Any], text: str) -> None:
    with pytest.raises(ApiError, match=text) as caught:
        names(node, condition)
    assert caught.value.code == "SYS.1007"


def test_wrong_fields_and_order(node: Any) -> None:
    with pytest.raises(ApiError, match=r"SYS\.1007"):
        QueryImage.model_validate({"conditions": [], "fields": ["nope"]}).handle(node, Caller())
    with pytest.raises(ApiError, match=r"SYS\.1000"):
        names(node, sortBy="nope")


def test_inventory_names_real_columns() -> None:
    assert all(IMAGE.kind(name) for name in IMAGE.fields)


# --- any conditions at all, beside a filter in Python -----------------------------------------------------------------

COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}
EXAMPLES = int(os.environ.get("SEALIFT_EXAMPLES", "60"))
# Order differs between databases only for characters that these texts have not.
TEXT = st.sampled_from(
    [row["name"] for row in ROWS] + ["first", "", "'", "--", "a' or '1'='1", "beta; drop table ImageEO"]
)
PATTERN = st.text("aAb%_\\' :0", max_size=4)
NUMBER = st.integers(-(2**63) + 1, 2**63 - 1) | st.sampled_from([10, 20, 3 << 30])


def holds(row: dict[str, Any], condition: tuple[str, str, Any]) -> bool:
    """What the condition says of a row: nothing holds of a null except that it is one."""
    name, op, value = condition
    mine = row[name]
    if op in ("is null", "is not null"):
        return (mine is None) == (op == "is null")
    if mine is None:
        return False
    mine = mine.lower() if isinstance(mine, str) else mine
    if op.endswith("like"):
        pattern = "".join({"%": ".*", "_": "."}.get(c, re.escape(c)) for c in value.strip().lower())
        return (re.fullmatch(pattern, mine, re.DOTALL) is not None) == (op == "like")
    convert = int if isinstance(mine, int) else str.lower
    if op.endswith("in"):
        return (mine in [convert(str(v).strip()) for v in value.split(",")]) == (op == "in")
    return COMPARE[op](mine, convert(str(value).strip()))


def conditions(names_: tuple[str, ...], values: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[str, str, Any]]:
    name = st.sampled_from(names_)
    lists = st.lists(values, min_size=1, max_size=3).map(lambda v: ",".join(map(str, v)))
    return st.one_of(
        st.tuples(name, st.sampled_from(["=", "!="] if "name" in names_ else list(COMPARE)), values),
        st.tuples(name, st.sampled_from(["in", "not in"]), lists),
        st.tuples(name, st.sampled_from(["is null", "is not null"]), st.just("")),
    )


LIKES = st.tuples(st.sampled_from(["name", "description"]), st.sampled_from(["like", "not like"]), PATTERN)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    wanted=st.lists(
        conditions(("name", "description"), TEXT) | conditions(("size",), NUMBER) | LIKES, min_size=1, max_size=3
    )
)
def test_any_conditions_find_what_python_finds(node: Any, wanted: list[tuple[str, str, Any]]) -> None:
    assert names(node, *wanted) == [row["name"] for row in ROWS if all(holds(row, c) for c in wanted)]
