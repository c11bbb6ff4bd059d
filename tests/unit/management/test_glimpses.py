"""What is looked up in the thread that answers everybody: it ends soon, and waits for nobody."""

import json
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from management.server.config import sqlite_url
from management.server.database import Database
from management.server.glimpses import STEPS, TooLongError

COUNT = text("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < :most) SELECT count(*) FROM t")
QUERY_ZONE = "org.zstack.header.zone.APIQueryZoneMsg"


def test_what_takes_long_is_given_up_wherever_it_is(database: Database) -> None:
    for _ in range(3):
        with pytest.raises(TooLongError), database.glimpse(), database.snapshot() as snapshot:
            snapshot.execute(COUNT, {"most": STEPS})
        with database.glimpse(), database.snapshot() as snapshot:
            for _ in range(3):
                assert snapshot.execute(COUNT, {"most": STEPS // 100}).scalar_one() == STEPS // 100
    with pytest.raises(TooLongError), database.glimpse(), database.snapshot() as snapshot:
        for _ in range(100):  # together they are too many
            snapshot.execute(COUNT, {"most": STEPS // 100})
    with database.snapshot() as snapshot:
        assert snapshot.execute(COUNT, {"most": STEPS}).scalar_one() == STEPS


def test_rows_that_are_too_many_are_given_up_while_they_are_read(database: Database) -> None:
    rows = text("WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t WHERE n < 99999) SELECT n FROM t")
    with pytest.raises(TooLongError), database.glimpse(), database.snapshot() as snapshot:
        snapshot.execute(rows).all()


def test_it_does_not_wait_for_a_writer(database: Database) -> None:
    with closing(sqlite3.connect(database.name, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with pytest.raises(TooLongError), database.glimpse(), database.snapshot() as snapshot:
            snapshot.execute(text('SELECT count(*) FROM "ZoneVO"'))
        writer.execute("ROLLBACK")
    with database.glimpse(), database.snapshot() as snapshot:
        assert snapshot.execute(text("SELECT 1")).scalar_one() == 1


def test_it_is_one_snapshot_and_nothing_is_written_in_it(database: Database) -> None:
    change = text("UPDATE \"AccountVO\" SET name = 'other'")
    with database.glimpse(), database.snapshot() as outer, database.snapshot() as inner:
        assert inner is outer
        driver: Any = inner.connection.driver_connection
        assert driver.in_transaction
        with pytest.raises((TooLongError, OperationalError)):
            inner.execute(change)
    with database.snapshot() as later:
        assert later is not outer
        assert later.execute(text('SELECT name FROM "AccountVO"')).scalars().all() == ["admin"]


def test_a_database_that_cannot_be_opened_is_for_others_to_report(tmp_path: Path) -> None:
    database = Database(sqlite_url(tmp_path / "no-such-folder/x.db"))
    with pytest.raises(TooLongError), database.glimpse():
        pass
    database.close()


def test_where_others_have_the_database_there_are_none(postgresql: Any) -> None:
    database = Database(postgresql.create("glimpses"))
    with pytest.raises(TooLongError), database.glimpse():
        pass
    database.close()


def test_a_query_that_waits_for_a_writer_keeps_nobody_else_waiting(server: Any, session: dict[str, str]) -> None:
    answers: list[dict[str, Any]] = []
    body = {QUERY_ZONE: {"conditions": [], "session": session}}

    def ask() -> None:
        answers.append(server.send(json=body).json())

    asking = threading.Thread(target=ask)
    with closing(sqlite3.connect(server.database, timeout=10, isolation_level=None)) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        asking.start()
        for _ in range(20):
            assert server.get("/zstack/api/catalogue").status_code == 200
        assert answers == []
        writer.execute("ROLLBACK")
    asking.join()
    (answer,) = json.loads(answers[0]["result"]).values()
    assert answer["success"] is True


def test_a_long_call_is_read_where_there_is_time(server: Any, session: dict[str, str]) -> None:
    names = ",".join(f"zone-{number}" for number in range(5000))
    condition = {"name": "name", "op": "in", "value": f"{names},"}
    answer = server.ask(session, QUERY_ZONE, conditions=[condition])
    assert (answer["success"], answer["inventories"]) == (True, [])
