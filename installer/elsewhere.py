"""Where the product's configuration on this host says its data is, when that is not a file of the product."""

from __future__ import annotations

import shutil
import tempfile
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from installer.layout import Layout
from installer.steps import Host
from installer.steps.postgresql import DUMP_NAME, PROGRAMS, Postgresql, client
from payload.effects import child_environment
from payload.errors import InputError, SealiftError
from payload.events import Note, Sink
from payload.manifest import Manifest, PostgresqlKeys


def configured(layout: Layout, manifest: Manifest) -> Postgresql | None:
    """The database that the product's configuration on this host names, if that is one of PostgreSQL.

    Raises:
        InputError: the configuration cannot be read, or the URL cannot be used.
    """
    database = manifest.server.database
    keys = database.postgresql if database else None
    if keys is None or not (path := layout.config_dir / keys.config).is_file():
        return None
    try:
        return _configured(tomllib.loads(path.read_text(encoding="utf-8")), keys)
    except (OSError, ValueError) as error:
        raise InputError("configuration-unreadable", f"{path} does not say where the database is: {error}") from error


def _configured(config: dict[str, Any], keys: PostgresqlKeys) -> Postgresql | None:
    url = _at(config, keys.url)
    if url is None:
        return None
    parts = urlsplit(url)
    if parts.scheme.partition("+")[0] not in {"postgresql", "postgres"} or len(parts.path) < 2:
        raise ValueError(f"{keys.url} is not postgresql://USER@HOST:PORT/NAME")
    if parts.password is not None:
        raise ValueError(f"{keys.url} has a password in it: put that into a file, and its path at {keys.password_file}")
    file = _at(config, keys.password_file)
    return Postgresql(parts._replace(scheme="postgresql").geturl(), Path(file) if file else None)


def _at(config: dict[str, Any], key: str) -> str | None:
    value: Any = config
    for word in key.split("."):
        value = value.get(word) if isinstance(value, dict) else None
    if value is not None and not isinstance(value, str):
        raise ValueError(f"{key} is no text")
    return value


def dump_size(database: Postgresql | None, layout: Layout, user: str, host: Host) -> int:
    """Bytes to reckon with for a copy of `database`: as many as its server has for it. A copy has no indexes and is
    compressed, so it is smaller. Where the server does not say, twice the largest copy that is kept here.

    Changes nothing, but for a folder for the password that is gone on return.
    """
    if database is None:
        return 0
    folder = Path(tempfile.mkdtemp(prefix=f"{layout.product}-", dir="/run"))
    try:
        with client(database, folder, user, host.run) as tools:
            return tools.size()
    except (SealiftError, OSError, ValueError) as error:
        kept = [path.stat().st_size for path in layout.state_dir.glob(f"backup/*/kept/{DUMP_NAME}")]
        text = f"the size of the database {database.name} is not known; the room for its copy is guessed"
        host.sink.emit(Note(f"{text}: {error}", "warning"))
        return 2 * max(kept, default=0)


def copyable(database: Postgresql | None, sink: Sink) -> Postgresql | None:
    """`database`, if this host has the programs to copy it; else None, and why there will be no copy is said."""
    path = child_environment()["PATH"]
    missing = [program for program in PROGRAMS if shutil.which(program, path=path) is None]
    if database is None or not missing:
        return database
    text = f"no copy is made of the PostgreSQL database {database.name}: this host has no {', '.join(missing)}"
    sink.emit(Note(f"{text}; install PostgreSQL's client programs to have one", "warning"))
    return None
