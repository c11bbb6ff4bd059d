"""A PostgreSQL server of the tests' own: a new cluster in a scratch folder, reached by a socket, gone afterwards."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, create_engine, text

_USER = "postgres"  # the server refuses to run as root; Debian's package makes this user
_SETTINGS = ("fsync=off", "listen_addresses=", "max_connections=200", "shared_buffers=32MB", "log_min_messages=fatal")


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


def programs() -> Path:
    """The folder of the newest server that is installed."""
    versions = Path("/usr/lib/postgresql").iterdir()
    return max(versions, key=lambda path: int(path.name)) / "bin"


@contextmanager
def running() -> Iterator[Cluster]:
    """A server for as long as the block lasts."""
    # Directly below the folder for temporary files: the path of a socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="sealift-pg-"))
    account = pwd.getpwnam(_USER)
    os.chown(folder, account.pw_uid, account.pw_gid)
    server = None
    try:
        data, bins = folder / "data", programs()
        make: list[str | Path] = [
            bins / "initdb",
            "-D",
            data,
            "-U",
            _USER,
            "-E",
            "UTF8",
            "--locale=C",
            "-A",
            "trust",
            "--no-sync",
        ]
        subprocess.run(make, check=True, stdout=subprocess.DEVNULL, user=_USER, group=account.pw_gid, cwd=folder)
        options = [word for setting in (*_SETTINGS, f"unix_socket_directories={folder}") for word in ("-c", setting)]
        server = subprocess.Popen(
            [bins / "postgres", "-D", data, *options], user=_USER, group=account.pw_gid, cwd=folder
        )
        ready: list[str | Path] = [bins / "pg_isready", "-q", "-h", folder, "-t", "1"]
        for _ in range(100):
            assert server.poll() is None, "PostgreSQL did not start"
            if subprocess.run(ready, check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield Cluster(folder)
    finally:
        if server is not None:
            server.terminate()
            server.wait(30)
        shutil.rmtree(folder)
