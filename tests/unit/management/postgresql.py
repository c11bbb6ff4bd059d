"""A PostgreSQL server of the tests' own: a new cluster in a scratch folder, reached by a socket, gone afterwards."""

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, create_engine, text

from tests.lab.cache import Cache
from tests.lab.postgresql import environment, postgresql, programs
from tests.unit.management.patience import PATIENCE

_ACCOUNT = "nobody"  # the server refuses to run as root
_USER = "postgres"
_SETTINGS = (
    *("fsync=off", "listen_addresses=", "max_connections=200", "shared_buffers=32MB", "log_min_messages=fatal"),
    *("jit=off", "timezone=GMT", "log_timezone=GMT", "autovacuum=off"),
)


@dataclass(frozen=True)
class Cluster:
    """A running server. Its only user needs no password on the socket."""

    folder: Path

    def url(self, database: str) -> URL:
        socket = {"host": str(self.folder)}
        return URL.create("postgresql+psycopg", username=_USER, database=database, query=socket)

    def create(self, database: str) -> URL:
        """Make an empty database."""
        engine = create_engine(self.url("postgres"), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f'CREATE DATABASE "{database}"'))
        engine.dispose()
        return self.url(database)


@contextmanager
def running() -> Iterator[Cluster]:
    """A server for as long as the block lasts."""
    # Directly below the folder for temporary files: the path of a socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="sealift-pg-"))
    server = None
    try:
        # A copy, because the cache is root's and the server is not.
        home = shutil.copytree(postgresql(Cache()), folder / "programs", symlinks=True)
        account = pwd.getpwnam(_ACCOUNT)
        os.chown(folder, account.pw_uid, account.pw_gid)
        data, bins, variables = folder / "data", programs(home), environment(home)

        def start(*argv: str | Path) -> "subprocess.Popen[bytes]":
            return subprocess.Popen(
                argv,
                stdout=subprocess.DEVNULL,
                env=variables,
                cwd=folder,
                user=account.pw_uid,
                group=account.pw_gid,
                extra_groups=[],
            )

        make = ("-U", _USER, "-E", "UTF8", "--locale=C", "-A", "trust", "--no-sync")
        assert start(bins / "initdb", "-D", data, *make).wait() == 0
        options = [word for setting in (*_SETTINGS, f"unix_socket_directories={folder}") for word in ("-c", setting)]
        server = start(bins / "postgres", "-D", data, *options)
        deadline = time.monotonic() + PATIENCE
        while start(bins / "pg_isready", "-q", "-h", folder, "-t", "1").wait() != 0:
            assert server.poll() is None and time.monotonic() < deadline, "PostgreSQL did not start"
            time.sleep(0.1)
        yield Cluster(folder)
    finally:
        if server is not None:
            server.send_signal(signal.SIGINT)  # at SIGTERM it waits for every client
            server.wait(PATIENCE)
        shutil.rmtree(folder)
