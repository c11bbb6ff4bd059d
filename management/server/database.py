"""The database: SQLite, with transactions that really are transactions.

Reads begin deferred, writes begin immediate. A write that began as a read could otherwise fail half way because
another writer came first. The rollback journal is kept (not WAL), so that a stopped server leaves one file that
can be copied.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.orm import Session

BUSY_MS = 30_000


class Database:
    """One SQLite file and its connections."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.engine = _open(file)
        self._writer = self.engine.execution_options(writes=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session on one consistent snapshot. Nothing done in it is kept."""
        with Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at the end, or undoes everything when an exception leaves it."""
        with Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """A bare connection inside one write transaction, for migrations."""
        with self._writer.begin() as connection:
            yield connection

    def answers(self) -> bool:
        """True when a query runs. Raises what the database raises otherwise."""
        with self.engine.connect() as connection:
            return bool(connection.execute(text("select 1")).scalar_one() == 1)

    def close(self) -> None:
        self.engine.dispose()


def _open(file: Path) -> Engine:
    engine = create_engine(f"sqlite:///{file}")

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # sqlite3 of Python would begin transactions by its own rules and leave DDL outside of them.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
