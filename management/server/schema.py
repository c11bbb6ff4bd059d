"""The database's schema: which revision it has, which this release needs, and how to get there."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

from alembic import command
from alembic.config import Config as AlembicConfig
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from management import __version__
from management.server.commanderror import EXIT_NEWER_SCHEMA, EXIT_USAGE, CommandError
from management.server.database import Database

MIGRATIONS = Path(__file__).with_name("migrations")


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
    """`current` is None for an empty database."""

    current: str | None
    head: str

    @property
    def at_head(self) -> bool:
        return self.current == self.head


def schema_state(database: Database) -> SchemaState:
    """Compare the database with the migrations of this release.

    Raises:
        NewerSchemaError: the database names a revision that this release does not have.
    """
    history = _history()
    head = history[0]
    with database.engine.connect() as connection:
        current = MigrationContext.configure(connection).get_current_revision()
    if current is not None and current not in history:
        raise NewerSchemaError(
            f"{database.name} has schema {current}, but release {__version__} knows only up to {head}. "
            "Use the release that wrote it, or restore the backup taken before the upgrade."
        )
    return SchemaState(current, head)


def require_head(database: Database) -> None:
    """Return when the schema is the one this release needs.

    Raises:
        NewerSchemaError: see `schema_state`.
        SchemaOutdatedError: it is older.
    """
    state = schema_state(database)
    if not state.at_head:
        raise SchemaOutdatedError(
            f"{database.name} has schema {state.current or 'none'}, release {__version__} needs {state.head}. "
            "Run `sealift-server migrate` first."
        )


def migrate(database: Database, target: str | None = None) -> SchemaState:
    """Bring the schema, forward or back, to `target` or to this release's head: all of it happens, or nothing.

    Going back drops what the older schema has no place for. Returns the state before.

    Raises:
        NewerSchemaError: see `schema_state`.
        UnknownSchemaError: this release has no migration called `target`.
    """
    before = schema_state(database)
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
    if before.current is not None:
        migrate(copy, before.current)
        migrate(copy, target)
    return before


@cache
def _history() -> tuple[str, ...]:
    """All revisions, the newest first."""
    return tuple(script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions())
