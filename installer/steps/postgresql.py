"""A product's database in PostgreSQL: a copy of it before it changes, tried in a database beside it.

PostgreSQL's own programs of this host do the work, as the product's user. They get the password from a file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar
from urllib.parse import urlsplit

from typing_extensions import override

from installer.steps.base import Host, Nothing, PlainStep, Runner, register
from installer.steps.saved import owner_ids, remove_tree
from payload.effects import Completed, fsync_dir
from payload.errors import CommandError, PreflightError, SealiftError
from payload.events import Note

PROGRAMS = ("pg_dump", "pg_restore", "psql")
DUMP_NAME = "database.dump"
_PASSWORDS = "passwords"
_TIMEOUT = 4 * 3600
_ANSWER = 60.0
_LOCK_WAIT = "60s"
_CREATE = """\\set ON_ERROR_STOP on
select format('create database %I template template0 encoding %L lc_collate %L lc_ctype %L',
    :'name', pg_encoding_to_char(encoding), datcollate, datctype)
from pg_database where datname = current_database() \\gexec
comment on database :"name" is :'mark';
"""
_DROP = """\\set ON_ERROR_STOP on
select format('drop database %I', datname) from pg_database
where datname = :'name' and shobj_description(oid, 'pg_database') = :'mark' \\gexec
"""
_MARK = "a copy on which an upgrade is tried; it may go"
"""How a rehearsal's database is told from one of somebody else with its name, which is never dropped."""
_SIZE = "select pg_database_size(current_database());\n"
_MAY_CREATE = "select rolcreatedb or rolsuper from pg_roles where rolname = current_user;\n"


@dataclass(frozen=True, slots=True)
class Postgresql:
    """A database of a PostgreSQL server: `url` has no password, the first line of `password_file` may be it."""

    url: str
    password_file: Path | None = None

    @property
    def name(self) -> str:
        """The database's name."""
        return urlsplit(self.url).path[1:]

    @property
    def rehearsal(self) -> str:
        """URL of a database beside it, for copies that are tried."""
        return urlsplit(self.url)._replace(path=f"/{self.name}_rehearsal").geturl()


@dataclass(frozen=True, slots=True)
class Client:
    """PostgreSQL's programs at work on `database`, as `user`. `folder` is for what they read and write."""

    database: Postgresql
    folder: Path
    user: str
    run: Runner

    @property
    def dump(self) -> Path:
        """The copy that `make_dump` writes."""
        return self.folder / DUMP_NAME

    @property
    def private(self) -> frozenset[str]:
        """Names in the folder that no copy of it is to hold."""
        return frozenset({_PASSWORDS})

    def make_dump(self) -> None:
        """Write all of the database, as of one moment, to `dump`. Whoever uses it goes on."""
        file, wait = f"--file={self.dump}", f"--lock-wait-timeout={_LOCK_WAIT}"
        self._call("pg_dump", "--format=custom", "--no-password", wait, file, f"--dbname={self.database.url}")

    def size(self) -> int:
        """Bytes that the server keeps for the database, its indexes included."""
        return int(self._query(_SIZE, timeout=_ANSWER).output)

    def may_create(self) -> bool:
        """May the product's user of the database make another one, to try a copy in?"""
        return self._query(_MAY_CREATE).output.strip() == "t"

    def create_rehearsal(self) -> None:
        """Make the rehearsal's database from `dump`; one that an earlier rehearsal left goes.

        Raises:
            CommandError: the dump is not whole, or cannot be loaded; or somebody has a database of that name.
        """
        self.drop_rehearsal()
        self._query(_CREATE)
        self._call(
            "pg_restore",
            "--exit-on-error",
            "--single-transaction",
            "--no-owner",
            "--no-privileges",
            "--no-password",
            f"--dbname={self.database.rehearsal}",
            self.dump,
        )

    def drop_rehearsal(self) -> None:
        """Remove the rehearsal's database, if there is one."""
        self._query(_DROP)

    def read_dump(self) -> None:
        """Read all of `dump`.

        Raises:
            CommandError: it is not whole.
        """
        self._call("pg_restore", "--file=/dev/null", self.dump)

    def environment(self) -> dict[str, str]:
        """What the product's own commands need to reach the database without its password in their words."""
        return {"HOME": str(self.folder), "PGPASSFILE": str(self.folder / _PASSWORDS), "PGCONNECT_TIMEOUT": "30"}

    def _query(self, statement: str, *, timeout: float = _TIMEOUT) -> Completed:
        name = urlsplit(self.database.rehearsal).path[1:]
        words = ("--no-psqlrc", "--no-password", "--quiet", "--tuples-only", "--no-align")
        variables = (f"--set=name={name}", f"--set=mark={_MARK}")
        return self._call("psql", *words, *variables, f"--dbname={self.database.url}", stdin=statement, timeout=timeout)

    def _call(self, *words: str | Path, stdin: str | None = None, timeout: float = _TIMEOUT) -> Completed:
        argv = tuple(map(str, words))
        return self.run(argv, stdin=stdin, env=self.environment(), cwd=self.folder, timeout=timeout, user=self.user)


@contextmanager
def client(database: Postgresql, folder: Path, user: str, run: Runner) -> Iterator[Client]:
    """PostgreSQL's programs with `folder` for their files: new, `user`'s alone, and gone afterwards."""
    remove_tree(folder)
    folder.mkdir(mode=0o700)
    try:
        _write_passwords(folder / _PASSWORDS, database, user)
        os.chown(folder, *owner_ids(user))
        yield Client(database, folder, user, run)
    finally:
        remove_tree(folder)


def _write_passwords(path: Path, database: Postgresql, user: str) -> None:
    """See "The Password File" in PostgreSQL's documentation: a colon or a backslash is escaped by a backslash."""
    secret = ""
    if database.password_file is not None:
        first = database.password_file.read_text(encoding="utf-8").splitlines()[:1]
        secret = "".join(first).replace("\\", "\\\\").replace(":", "\\:")
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "w") as file:
        os.fchown(fd, *owner_ids(user))
        file.write(f"*:*:*:*:{secret}\n" if secret else "")


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class DumpDatabase(PlainStep):
    """Copy `database` to `backup` while it is in use, restore that for a test, and run `argv` on the result.

    The test is made in a database of its own beside the other, which goes again. Undoing a run does not put the copy
    back, since other nodes may have written meanwhile: the product's own way back does, which `argv` has tried.
    """

    kind: ClassVar[str] = "database-dump"
    staging: ClassVar[bool] = True
    database: Postgresql
    backup: Path
    folder: Path
    """Belongs to `user` alone, while the programs work there."""
    argv: tuple[str, ...] = ()
    user: str

    @override
    def describe(self) -> str:
        rehearsed = ", and rehearse the migration on it" if self.argv else ""
        return f"copy the database {self.database.name} to {self.backup}, restore that for a test{rehearsed}"

    @override
    def undone(self) -> str:
        return "remove the copy"

    @override
    def apply(self, host: Host, undo: Nothing) -> None:
        try:
            with client(self.database, self.folder, self.user, host.run) as tools:
                tools.make_dump()
                self._try(tools, host)
                keep_private(tools.dump, self.backup)
        except CommandError as error:
            what = (
                "the migration fails on a copy of" if error.argv[:1] == self.argv[:1] else "there is no sound copy of"
            )
            raise PreflightError(
                "rehearsal-failed",
                f"{what} the database {self.database.name}",
                details=f"{error.brief}\n{error.details}".strip(),
                remedy="nothing was stopped and no data was changed; the lines above say what is missing",
            ) from error

    def _try(self, tools: Client, host: Host) -> None:
        if not tools.may_create():
            tools.read_dump()
            text = f"the copy of {self.database.name} was read, but not restored for a test, and nothing was rehearsed"
            why = "its user may not create a database; `alter role … createdb` allows that"
            host.sink.emit(Note(f"{text}: {why}", "warning"))
            return
        try:
            tools.create_rehearsal()
            if self.argv:
                environment = tools.environment()
                host.run(self.argv, env=environment, cwd=self.folder, timeout=_TIMEOUT, user=self.user)
        finally:
            tools.drop_rehearsal()

    @override
    def undo(self, undo: Nothing, host: Host) -> None:
        self.backup.unlink(missing_ok=True)
        if not self.folder.exists():  # the step came to its end, and removed what it had made
            return
        try:
            with client(self.database, self.folder, self.user, host.run) as tools:
                tools.drop_rehearsal()
        except (SealiftError, OSError) as error:  # a copy that is left must not keep the product from coming back
            text = f"a database {self.database.rehearsal} may be left: {error}"
            host.sink.emit(Note(text, "warning"))


def keep_private(made: Path, kept: Path) -> None:
    """Move what the product's user `made` to where only root reaches, durably.

    Raises:
        OSError: it is no plain file.
    """
    kept.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fd = os.open(made, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        info = os.fstat(fd)
        if not stat.S_ISREG(info.st_mode) or info.st_nlink != 1:
            raise OSError(f"{made} is no plain file")
        os.fchown(fd, 0, 0)
        os.fchmod(fd, 0o600)
        os.fsync(fd)
    finally:
        os.close(fd)
    made.rename(kept)
    fsync_dir(kept.parent)
