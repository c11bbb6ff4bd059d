"""The same transactions and the same migrations on SQLite and on PostgreSQL."""

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, func, inspect, select, text

from management.server.clock import now
from management.server.database import Database
from management.server.models.hosts import ZoneVO
from management.server.models.identity import AccountVO
from management.server.schema import NewerSchemaError, UnknownSchemaError, migrate, schema_state
from tests.unit.management.patience import PATIENCE


@pytest.fixture
def database(database_url: Any) -> Iterator[Database]:
    made = Database(database_url)
    yield made
    made.close()


def zone(name: str) -> ZoneVO:
    return ZoneVO(uuid=uuid.uuid4().hex, name=name, createDate=now(), lastOpDate=now())


def names(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(ZoneVO.name).order_by(ZoneVO.name)))


def test_forward_and_back_keeps_what_both_schemas_know(database: Database) -> None:
    assert migrate(database).current is None
    with database.write() as session:
        session.add(zone("kept"))
    head = schema_state(database).head
    for target in ("1.0.0", head, "1.0.0", head):
        migrate(database, target)
        assert schema_state(database).current == target
        assert "kept" in names(database)
    with database.read() as session:
        assert session.scalars(select(AccountVO.name)).all() == ["admin"]


def test_a_snapshot_inside_a_snapshot_is_the_same_one_in_this_thread_alone(database: Database) -> None:
    migrate(database)
    before = len(names(database))
    with database.snapshot() as outer:
        with pytest.raises(ZeroDivisionError), database.snapshot() as inner:
            assert inner is outer
            raise ZeroDivisionError
        assert outer.scalars(select(func.count()).select_from(ZoneVO)).all() == [before]
        others = []
        thread = threading.Thread(target=lambda: others.append(_snapshot(database)))
        thread.start()
        thread.join()
        assert others != [outer]
    with database.write() as session:
        session.add(zone("later"))
    with database.snapshot() as later:
        assert "later" in later.scalars(select(ZoneVO.name)).all()


def _snapshot(database: Database) -> Connection:
    with database.snapshot() as snapshot:
        return snapshot


def shape(database: Database) -> dict[str, tuple[dict[str, tuple[str, bool, bool]], set[str]]]:
    """Of each table: its columns with their type, whether a row must name them, and what a row must satisfy."""
    found = {}
    with database.engine.connect() as connection:
        tables = inspect(connection)
        for name in tables.get_table_names():
            columns = {
                each["name"]: (str(each["type"]), bool(each["nullable"]), each["default"] is not None)
                for each in tables.get_columns(name)
            }
            demands: list[Any] = [*tables.get_unique_constraints(name), *tables.get_foreign_keys(name)]
            demands += [*tables.get_check_constraints(name), tables.get_pk_constraint(name)]
            found[name] = (columns, {repr(each) for each in demands})
    return found


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index")
def test_the_schema_serves_the_release_before(database: Database) -> None:
    migrate(database)
    with database.read() as session:
        (served,) = session.execute(text('SELECT "schema" FROM "ServedSchemaVO"')).scalars()
    now_there = shape(database)
    migrate(database, served)
    before = shape(database)
    assert "HostEO" in before
    for table, (columns, demands) in before.items():
        there, demanded = now_there[table]
        assert demanded == demands, f"{table} demands what {served} may not keep"
        assert {name: there[name] for name in columns} == columns
        added = there.keys() - columns.keys()
        needed = [name for name in added if not (there[name][1] or there[name][2])]
        assert needed == [], f"{served} does not know these columns of {table}"


def test_an_unknown_and_a_newer_schema_are_refused(database: Database) -> None:
    migrate(database)
    with pytest.raises(UnknownSchemaError, match="no schema 0\\.9; this release knows 1\\.0\\.0, "):
        migrate(database, "0.9")
    with database.exclusive() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9.9.9'"))
    with pytest.raises(NewerSchemaError, match="9\\.9\\.9"):
        migrate(database)


def test_a_write_that_fails_leaves_nothing(database: Database) -> None:
    migrate(database)
    before = names(database)
    with pytest.raises(ZeroDivisionError), database.write() as session:
        session.add(zone("half"))
        session.flush()
        raise ZeroDivisionError
    assert names(database) == before


def test_a_read_sees_one_moment(database: Database) -> None:
    migrate(database)
    counted = select(func.count()).select_from(ZoneVO)

    def add() -> None:
        with database.write() as session:
            session.add(zone("later"))

    writer = threading.Thread(target=add)
    with database.read() as session:
        first = session.execute(counted).scalar_one()
        writer.start()
        time.sleep(0.1)
        assert session.execute(counted).scalar_one() == first
    writer.join()
    assert "later" in names(database)


def test_writers_that_look_first_take_turns(database: Database) -> None:
    migrate(database)

    def add_if_absent() -> None:
        with database.write() as session:
            if session.scalars(select(ZoneVO).where(ZoneVO.name == "only")).first() is None:
                time.sleep(0.01)
                session.add(zone("only"))

    threads = [threading.Thread(target=add_if_absent) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(database).count("only") == 1


def test_writes_that_wait_leave_connections_to_reads(database: Database) -> None:
    migrate(database)
    before, done = names(database), list[str]()

    def add(number: int) -> None:
        with database.write() as session:
            session.add(zone(f"waiting-{number}"))
        done.append(f"waiting-{number}")

    writers = [threading.Thread(target=add, args=(number,)) for number in range(40)]
    with database.write() as session:
        session.add(zone("first"))
        for writer in writers:
            writer.start()
        # More of them wait than there are connections.
        assert (names(database), done) == (before, [])
    for writer in writers:
        writer.join(PATIENCE)
    assert len(done) == len(writers)
    assert len(names(database)) == len(before) + 1 + len(writers)
