"""Looking things up in SQLite within a moment, for the thread that answers everybody and so may not wait."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import OperationalError

STEPS = 20_000
"""Of SQLite's virtual machine. A page of a hundred rows takes some 15,000, and two milliseconds with what is made of
them, which this bounds as well."""
_LOOK_EVERY = 1_000


class TooLongError(Exception):
    """It takes more than a glimpse: do it where there is time."""


class Glimpses:
    """One connection that only reads, waits for nobody, and is used by one thread."""

    def __init__(self, url: URL) -> None:
        self._engine = create_engine(url, pool_size=1, max_overflow=0, connect_args={"factory": _Connection})
        self._steps = 0
        event.listen(self._engine, "connect", self._configure)
        event.listen(self._engine, "checkout", _begin)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """A snapshot. Any statement in it may raise `TooLongError`."""
        self._steps = 0
        try:
            connection = self._engine.connect()
        except OperationalError as error:
            raise TooLongError from error
        with connection:
            yield connection

    def close(self) -> None:
        self._engine.dispose()

    def _configure(self, connection: sqlite3.Connection, _record: object) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA busy_timeout = 0")
        connection.execute("PRAGMA query_only = ON")
        connection.set_progress_handler(self._passed, _LOOK_EVERY)

    def _passed(self) -> bool:
        """Called at every so many steps; true ends the statement."""
        self._steps += _LOOK_EVERY
        return self._steps > STEPS


def _begin(connection: sqlite3.Connection, _record: object, _proxy: object) -> None:
    # Here and not as an event of SQLAlchemy's connections: one of those slows each statement down.
    connection.execute("BEGIN")


class _Cursor(sqlite3.Cursor):
    """Whatever stops a glimpse (time, a writer): who may wait gets through, or meets it again and says what it is."""

    def execute(self, *words: Any) -> "_Cursor":
        try:
            super().execute(*words)
        except sqlite3.OperationalError as error:
            raise TooLongError from error
        return self

    def fetchall(self) -> list[Any]:
        try:
            return super().fetchall()
        except sqlite3.OperationalError as error:
            raise TooLongError from error


class _Connection(sqlite3.Connection):
    def cursor(self, factory: Any = _Cursor) -> Any:
        return super().cursor(factory)
