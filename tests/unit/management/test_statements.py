"""Kept statements on the driver's cursor find what SQLAlchemy finds, on both databases."""

import threading
import uuid
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pytest
from sqlalchemy import bindparam, func, select

from management.server.clock import now
from management.server.database import Database
from management.server.models.hosts import ZoneVO
from management.server.schema import migrate
from management.server.statements import fetch

ZONES = ZoneVO.__table__.c
NAMES: Any = bindparam("names", expanding=True)
MOMENTS: Any = bindparam("moments", expanding=True)
BY_NAME = select(ZONES.name, ZONES.createDate, ZONES.description).where(ZONES.name.in_(NAMES))
SINCE = select(ZONES.name, ZONES.createDate).where(ZONES.createDate >= bindparam("moment")).order_by(ZONES.name)
FIXED = select(ZONES.name).where(ZONES.name.in_(["z1", "z3"]), ZONES.createDate > datetime(2020, 1, 1))
COUNT = select(func.count().label("n")).select_from(ZoneVO)
AT_MOMENTS = COUNT.where(ZONES.createDate.in_(MOMENTS))


def moment(number: int) -> datetime:
    return datetime(2026, 3, 26, 12, 53, number, 250_000)


CASES: list[tuple[Any, dict[str, Any]]] = [
    (BY_NAME, {"names": []}),
    (BY_NAME, {"names": ["z4"]}),
    (BY_NAME, {"names": ["z4", "z0", "x'; --"]}),
    (BY_NAME, {"names": [f"z{n}" for n in range(200)]}),
    (SINCE, {"moment": moment(3)}),
    (SINCE, {"moment": None}),
    (FIXED, {}),
    (AT_MOMENTS, {"moments": [moment(0), moment(4), now()]}),
]


@pytest.fixture
def database(database_url: Any) -> Iterator[Database]:
    made = Database(database_url)
    migrate(made)
    with made.write() as session:
        session.add_all(ZoneVO(uuid=uuid.uuid4().hex, name=f"z{n}", createDate=moment(n)) for n in range(5))
    yield made
    made.close()


def test_it_finds_what_sqlalchemy_finds(database: Database) -> None:
    with database.snapshot() as snapshot:
        for statement, parameters in CASES * 2:
            found = fetch(snapshot, statement, parameters)
            expected = snapshot.execute(statement, parameters)
            assert found.names == tuple(expected.keys())
            assert sorted(map(tuple, found.values)) == sorted(map(tuple, expected.all()))


def test_values_are_those_of_python(database: Database) -> None:
    with database.snapshot() as snapshot:
        (row,) = fetch(snapshot, BY_NAME, {"names": ["z2"]}).values
    assert row == ("z2", moment(2), None)


def test_a_session_sees_what_it_changed(database: Database) -> None:
    with database.write() as session:
        session.add(ZoneVO(uuid=uuid.uuid4().hex, name="new"))
        assert [row[0] for row in fetch(session, BY_NAME, {"names": ["new"]}).values] == ["new"]


def test_a_parameter_that_is_missing_is_an_error(database: Database) -> None:
    with database.snapshot() as snapshot, pytest.raises(KeyError, match="moment"):
        fetch(snapshot, SINCE, {})


def test_reads_are_of_one_moment(database: Database) -> None:
    def add() -> None:
        with database.write() as session:
            session.add(ZoneVO(uuid=uuid.uuid4().hex, name="later"))

    writer = threading.Thread(target=add)
    with database.snapshot() as snapshot:
        ((before,),) = fetch(snapshot, COUNT, {}).values
        writer.start()
        writer.join(0.1)
        assert fetch(snapshot, COUNT, {}).values == [(before,)]
    writer.join()
    with database.snapshot() as snapshot:
        assert fetch(snapshot, COUNT, {}).values == [(before + 1,)]
