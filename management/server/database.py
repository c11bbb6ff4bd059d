"""The database: SQLite on one node, PostgreSQL where there are several, with the same transactions on both.

A read sees one snapshot. Writes take turns: one that looks and then writes needs no other lock, whatever node it is
on. On SQLite a write begins immediate (one that began as a read could fail half way because another came first) and
the rollback journal is kept, not WAL, so that a stopped server leaves one file that can be copied. On PostgreSQL a
write holds an advisory lock until it ends. Writes of one process queue up before they take a connection: reads need
those, and SQLite's own waiting is a sleep that others overtake.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.orm import Session

from management.server.glimpses import Glimpses, TooLongError

BUSY_MS = 30_000
_WRITER = 0x5EA11F7  # the advisory lock that makes writes take turns
_TURN = 0x5EA11F8  # the one of `turn`
_POOL = 20


class Database:
    """One database and its connections. `name` says which one, without its password."""

    def __init__(self, url: URL) -> None:
        self.name = url.database or "" if url.get_backend_name() == "sqlite" else url.render_as_string()
        self.engine, read = _open(url)
        self._reader = self.engine.execution_options(**read)
        self._writer = self.engine.execution_options(writes=True)
        self._glimpses = None if self.shared else Glimpses(url)
        self._one_writes = threading.Lock()
        self._held = threading.local()

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session on one consistent snapshot. Nothing done in it is kept."""
        with Session(self._reader, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """The same for statements that make no objects: it takes half the time of a session.

        One that is asked for inside another, in the same thread, is the other one. Nothing may be written inside.
        """
        outer: Connection | None = getattr(self._held, "snapshot", None)
        if outer is not None:
            yield outer
            return
        with self._reader.begin() as connection, self._hold(connection):
            yield connection

    @contextmanager
    def glimpse(self) -> Iterator[None]:
        """A snapshot in SQLite for the one thread that may not wait: what reads inside has little time.

        Raises:
            TooLongError: it took more, or had to wait for a writer; anywhere inside.
        """
        if self._glimpses is None:
            raise TooLongError
        with self._glimpses.begin() as connection, self._hold(connection):
            yield

    @contextmanager
    def _hold(self, connection: Connection) -> Iterator[None]:
        """Make it the snapshot of this thread."""
        self._held.snapshot = connection
        try:
            yield
        finally:
            self._held.snapshot = None

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at the end, or undoes everything when an exception leaves it."""
        with self._one_writes, Session(self._writer, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def exclusive(self) -> Iterator[Connection]:
        """A bare connection inside one write transaction, for migrations."""
        with self._one_writes, self._writer.begin() as connection:
            yield connection

    @property
    def shared(self) -> bool:
        """Whether other nodes may be at work on it."""
        return self.engine.dialect.name != "sqlite"

    @contextmanager
    def turn(self) -> Iterator[None]:
        """What one node at a time may do. On SQLite there is only one; other writes go on meanwhile."""
        if not self.shared:
            yield
            return
        with self._reader.begin() as connection:
            connection.execute(text(f"SELECT pg_advisory_xact_lock({_TURN})"))
            yield

    def answers(self) -> bool:
        """True when a query runs. Raises what the database raises otherwise."""
        with self.engine.connect() as connection:
            return bool(connection.execute(text("select 1")).scalar_one() == 1)

    def close(self) -> None:
        self.engine.dispose()
        if self._glimpses is not None:
            self._glimpses.close()


def _open(url: URL) -> tuple[Engine, dict[str, Any]]:
    """The engine, and the options of its connections that only read."""
    if url.get_backend_name() == "sqlite":
        return _open_sqlite(url), {}
    return _open_postgresql(url), {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


def _open_sqlite(url: URL) -> Engine:
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _record: Any) -> None:
        # sqlite3 of Python would begin transactions by its own rules and leave DDL outside of them.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"PRAGMA busy_timeout = {BUSY_MS}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes", False):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            # This one waits for nobody, so it cannot fail; and what it is spared here takes as long as a small query.
            connection.connection.cursor().execute("BEGIN")

    return engine


def _open_postgresql(url: URL) -> Engine:
    # A connection that the server closed meanwhile (a restart, a fail-over) is replaced before it is used.
    engine = create_engine(url, pool_size=_POOL, pool_pre_ping=True)

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        if connection.get_execution_options().get("writes", False):
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = {BUSY_MS}")
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER})")

    return engine
