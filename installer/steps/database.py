"""The product's SQLite database: a verified copy while nothing writes to it, and putting one back."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Nothing, Step, register
from payload.effects import fsync_dir
from payload.errors import StepError
from payload.events import Note

_BESIDE = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class DatabaseBefore:
    """Was there a database, and whose was it?"""

    existed: bool
    mode: int = 0
    uid: int = 0
    gid: int = 0


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class BackUpDatabase(Step[DatabaseBefore]):
    """Copy `database` to `backup` with SQLite's own backup, and restore that for a test. Undo puts the copy back. If
    the run was cut off, what is replaced by that is kept beside the run's folder: it may have been written to since.

    Everything after this step may change the database; nothing before it may. The services are stopped.
    """

    kind: ClassVar[str] = "database-backup"
    undo_type: ClassVar[type[Any]] = DatabaseBefore
    database: Path
    backup: Path

    @override
    def describe(self) -> str:
        return f"back up the database {self.database} to {self.backup}"

    @override
    def undone(self) -> str:
        return "put the copy of the database back, or remove the database if there was none"

    @override
    def prepare(self, host: Host) -> DatabaseBefore:
        if not self.database.exists():
            return DatabaseBefore(existed=False)
        info = self.database.stat()
        return DatabaseBefore(True, info.st_mode & 0o7777, info.st_uid, info.st_gid)

    @override
    def apply(self, host: Host, undo: DatabaseBefore) -> None:
        if undo.existed:
            back_up(self.database, self.backup)
            try_restore(self.backup, self.database)

    @override
    def undo(self, undo: DatabaseBefore, host: Host) -> None:
        _beside(self.database).unlink(missing_ok=True)  # of a restore, for a test or in earnest, that was cut off
        if undo.existed and not self.backup.exists():  # the copy never became whole, or is back already
            return
        if host.used_since and self.database.exists():
            kept = self._keep()
            text = f"the database as it was until now is kept in {kept}: remove it when nobody misses anything"
            host.sink.emit(Note(text, "warning"))
        if undo.existed:
            move_back(self.backup, self.database, undo)
        else:
            _remove(self.database)

    def _keep(self) -> Path:
        """Give the database a second name in a new folder, which stays: that needs no room, and can be done again."""
        run = self.backup.parent.parent
        names = chain((f"{run.name}-since",), (f"{run.name}-since-{n}" for n in count(2)))
        folder = next(path for name in names if not (path := run.with_name(name)).exists())
        folder.mkdir(mode=0o700, parents=True)
        for suffix in ("", *_BESIDE):
            path = self.database.with_name(self.database.name + suffix)
            if path.exists():
                _link(path, folder / path.name)
        fsync_dir(folder)
        fsync_dir(folder.parent)
        return folder


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class RestoreDatabase(Step[Nothing]):
    """Make `backup` the database. The step before saved the newer one, and its undo puts that back."""

    kind: ClassVar[str] = "database-restore"
    database: Path
    backup: Path

    @override
    def describe(self) -> str:
        return f"put back the database {self.database} from {self.backup}"

    @override
    def undone(self) -> str:
        return "the newer database is put back by the step that copied it"

    @override
    def prepare(self, host: Host) -> Nothing:
        check(self.backup)
        return Nothing()

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        like = self.database if self.database.exists() else self.database.parent
        info = like.stat()
        mode = info.st_mode & 0o7777 if like is self.database else 0o640
        put_back(self.backup, self.database, DatabaseBefore(True, mode, info.st_uid, info.st_gid))

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        """See the class."""


def back_up(database: Path, backup: Path) -> None:
    """A consistent, checked, durable copy; `backup` is there whole or not at all.

    Raises:
        StepError: the database cannot be read, or its copy does not pass SQLite's integrity check.
    """
    backup.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    partial = backup.with_name(f".{backup.name}.partial")
    _make_private(partial)
    try:
        with closing(sqlite3.connect(database)) as source, closing(sqlite3.connect(partial)) as copy:
            source.backup(copy)
    except sqlite3.Error as error:
        raise StepError("database-unreadable", f"{database} cannot be copied", details=str(error)) from error
    check(partial)
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.rename(backup)
    fsync_dir(backup.parent)


def try_restore(backup: Path, database: Path) -> None:
    """Prove that `backup` can be put back where `database` is: there is room, the result is sound, no row is missing.

    Raises:
        StepError: it cannot.
    """
    trial = _beside(database)
    try:
        _copy(backup, trial)
        check(trial)
        wanted, found = row_counts(database), row_counts(trial, copy=True)
    finally:
        trial.unlink(missing_ok=True)
    if wanted != found:
        differing = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
        raise StepError(
            "backup-incomplete",
            f"the backup {backup} does not hold what {database} holds",
            details="\n".join(f"{name}: {wanted.get(name)} rows, there {found.get(name)}" for name in differing),
            remedy="see that nothing writes to the database while the product is stopped, and run again",
        )


def row_counts(database: Path, *, copy: bool = False) -> dict[str, int]:
    """How many rows each table of `database` has; `copy`: it is one that nobody has open."""
    with _read_only(database, copy=copy) as connection:
        names = [str(row[0]) for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        quoted = {name: '"' + name.replace('"', '""') + '"' for name in names}
        return {
            name: int(connection.execute(f"SELECT count(*) FROM {text}").fetchone()[0])  # noqa: S608 - a quoted name
            for name, text in quoted.items()
        }


def check(database: Path, *, copy: bool = True) -> None:
    """Run SQLite's integrity check; `copy`: nobody has the file open, and it is whole without write-ahead files.

    Raises:
        StepError: the file is missing or damaged.
    """
    try:
        with _read_only(database, copy=copy) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
    except sqlite3.Error as error:
        found = [str(error)]
    if found != ["ok"]:
        raise StepError(
            "database-damaged",
            f"the database {database} does not pass its integrity check",
            details="\n".join(found[:10]),
            remedy="repair it or put back a good copy first; it was not changed",
        )


def put_back(backup: Path, database: Path, like: DatabaseBefore) -> None:
    """Replace `database` by a copy of `backup`, with one rename."""
    partial = _beside(database)
    _copy(backup, partial)
    _replace(partial, database, like)


def move_back(backup: Path, database: Path, like: DatabaseBefore) -> None:
    """Replace `database` by `backup` itself: on a full disk there is no room for a copy."""
    try:
        _replace(backup, database, like)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        put_back(backup, database, like)  # the backup lies on another file system


def _link(path: Path, name: Path) -> None:
    """Give a file a second name, or copy it where that lies on another file system."""
    try:
        name.hardlink_to(path)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        shutil.copy2(path, name)
        with name.open("rb") as file:
            os.fsync(file.fileno())


def _copy(source: Path, target: Path) -> None:
    _make_private(target)
    shutil.copyfile(source, target)


def _make_private(path: Path) -> None:
    """An empty file that nobody else can read, whatever was there."""
    path.unlink(missing_ok=True)
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))


def _beside(database: Path) -> Path:
    """Where a copy becomes whole before it takes the database's place."""
    return database.with_name(f".{database.name}.restored")


def _read_only(database: Path, *, copy: bool) -> closing[sqlite3.Connection]:
    """A copy that nobody has open is read without its write-ahead files, which reading would leave behind."""
    uri = f"{database.resolve().as_uri()}?mode=ro{'&immutable=1' if copy else ''}"
    return closing(sqlite3.connect(uri, uri=True))


def _replace(source: Path, database: Path, like: DatabaseBefore) -> None:
    """Rename `source` over `database`; write-ahead files of the old one go first."""
    os.chown(source, like.uid, like.gid)
    source.chmod(like.mode)
    with source.open("rb") as file:
        os.fsync(file.fileno())
    for suffix in _BESIDE:
        database.with_name(database.name + suffix).unlink(missing_ok=True)
    source.rename(database)
    fsync_dir(database.parent)


def _remove(database: Path) -> None:
    for suffix in ("", *_BESIDE):
        database.with_name(database.name + suffix).unlink(missing_ok=True)
