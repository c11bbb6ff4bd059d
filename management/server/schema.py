"""The database's schema: which revision it has, which this release needs, and how to get there.

While the nodes of a database are upgraded one after the other, those of the older release go on: the newer schema names
the older ones that it serves in a table of its own. A release's migration only adds what the release before can ignore;
what nobody uses any more goes a release later.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text

from management import __version__
from management.server.commanderror import EXIT_NEWER_SCHEMA, EXIT_USAGE, CommandError
from management.server.database import Database

MIGRATIONS = Path(__file__).with_name("migrations")
_SERVED = "ServedSchemaVO"


class NewerSchemaError(CommandError):
    """The database was written by a newer release; this one must leave it alone."""

    code = EXIT_NEWER_SCHEMA


class UnknownSchemaError(CommandError):
    """Somebody asked for a schema that this release does not know."""

    code = EXIT_USAGE


class SchemaOutdatedError(CommandError):
    """The database has to be migrated before this release can serve it."""


@dataclass(frozen=True, slots=True)
class SchemaState:
    """`current` is None for an empty database. It may be `newer` than this release, and serve it nevertheless."""

    current: str | None
    head: str
    newer: bool = False

    @property
    def at_head(self) -> bool:
        return self.current == self.head

    @property
    def usable(self) -> bool:
        return self.at_head or self.newer


def schema_state(database: Database) -> SchemaState:
    """Compare the database with the migrations of this release.

    Raises:
        NewerSchemaError: the database names a revision that this release does not have, and that does not serve it.
    """
    history = _history()
    head = history[0]
    with database.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
        newer = current is not None and current not in history
        # An older release alone on a file is a mistake; beside newer nodes it is an upgrade that goes on.
        serves = newer and database.shared and head in _served(connection)
    if newer and not serves:
        raise NewerSchemaError(
            f"{database.name} has schema {current}, but release {__version__} knows only up to {head}. "
            "Use the release that wrote it, or restore the backup taken before the upgrade."
        )
    return SchemaState(current, head, newer)


def require_usable(database: Database) -> None:
    """Return when the schema is the one that this release needs, or serves it.

    Raises:
        NewerSchemaError: see `schema_state`.
        SchemaOutdatedError: it is older.
    """
    state = schema_state(database)
    if not state.usable:
        raise SchemaOutdatedError(
            f"{database.name} has schema {state.current or 'none'}, release {__version__} needs {state.head}. "
            "Run `sealift-server migrate` first."
        )


def migrate(database: Database, target: str | None = None) -> SchemaState:
    """Bring the schema, forward or back, to `target` or to this release's head: all of it happens, or nothing.

    Going back drops what the older schema has no place for. A newer schema that serves this release stays as it is.
    Returns the state before.

    Raises:
        NewerSchemaError: see `schema_state`; or `target` is to be reached from a newer schema.
        UnknownSchemaError: this release has no migration called `target`.
    """
    before = schema_state(database)
    if before.newer:
        if target is not None:
            raise NewerSchemaError(f"only the release that made schema {before.current} can go from it to {target}")
        return before
    history = _history()
    wanted = target or before.head
    if wanted not in history:
        raise UnknownSchemaError(f"there is no schema {wanted}; this release knows {', '.join(reversed(history))}")
    if before.current == wanted:
        return before
    config = AlembicConfig()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    forward = before.current is None or history.index(wanted) < history.index(before.current)
    with database.exclusive() as connection:
        config.attributes["connection"] = connection
        (command.upgrade if forward else command.downgrade)(config, wanted)
    return before


def rehearse(copy: Database, target: str | None = None) -> SchemaState:
    """Migrate a copy of the database as `migrate` does, back again, and forward: a way back that fails is found here.

    Returns the state before.

    Raises:
        NewerSchemaError: see `schema_state`.
        UnknownSchemaError: see `migrate`.
    """
    before = migrate(copy, target)
    if before.current is not None and not before.newer:
        migrate(copy, before.current)
        migrate(copy, target)
    return before


def head() -> str:
    """The schema that this release makes and needs."""
    return _history()[0]


def _served(connection: Connection) -> set[str]:
    """The older schemas whose releases can work on this one."""
    if not inspect(connection).has_table(_SERVED):
        return set()
    return set(connection.execute(text(f'SELECT "schema" FROM "{_SERVED}"')).scalars())  # noqa: S608 -- our own name


@cache
def _history() -> tuple[str, ...]:
    """All revisions, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())
