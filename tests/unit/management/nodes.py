"""Servers that a test may kill, on one database, and calls to them that are not waited for."""

import json
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from sqlalchemy import URL, NullPool, create_engine

from management.server.database import Database
from management.server.passwords import set_password
from management.server.schema import migrate
from tests.unit.management.conftest import PASSWORD, Install
from tests.unit.management.patience import PATIENCE

TAKEOVER_SECONDS = 15
"""After these the work of a node that was killed is another one's."""
_STEP_SECONDS = 0.05


def keep_in(url: URL, install: Install) -> None:
    """Have the install keep its data in that database of the tests' PostgreSQL."""
    plain = f"postgresql://{url.username}@/{url.database}?host={url.query['host']}"
    install.config.write_text(install.config.read_text() + f'[database]\nurl = "{plain}"\n')


class SharedInstall(Install):
    """One node of a site whose data is in PostgreSQL; made before the install is prepared, or beside one that was."""

    shared: URL

    def sql(self, statement: str, *values: object) -> list[Any]:
        """As on SQLite, whose names need no quotes and whose values are question marks."""
        words = re.sub(r"\b\w*[a-z]+[A-Z]\w*", r'"\g<0>"', statement)
        engine = create_engine(self.shared, poolclass=NullPool)
        with engine.begin() as connection:
            done = connection.exec_driver_sql(words.replace("?", "%s"), values)
            return [tuple(row) for row in done] if done.returns_rows else []


def on_postgresql(home: Path, url: URL) -> SharedInstall:
    """The first node of a site: migrated, with a password of admin."""
    install = SharedInstall(home)
    install.shared = url
    keep_in(url, install)
    database = Database(url)
    migrate(database)
    set_password(database, "admin", PASSWORD, if_unset=False)
    database.close()
    return install


def another(first: SharedInstall, home: Path) -> SharedInstall:
    """One more node: it has the same agents, keys and authority."""
    install = SharedInstall(home, variables=first.variables)
    install.shared = first.shared
    keep_in(first.shared, install)
    shutil.copytree(first.home / "agents", home / "agents", dirs_exist_ok=True)
    shutil.copytree(first.data / "keys", install.data / "keys", dirs_exist_ok=True)
    (install.data / "tls").mkdir()
    for name in ("ca.pem", "ca.key"):
        shutil.copy(first.data / "tls" / name, install.data / "tls" / name)
    return install


@contextmanager
def running_time() -> Iterator[Callable[[], float]]:
    """How many seconds this machine has run since then: what it stood still for is nobody's fault."""
    ended, steps = threading.Event(), [0.0]

    def count() -> None:
        before = time.monotonic()
        while not ended.wait(_STEP_SECONDS):
            moment = time.monotonic()
            steps.append(min(moment - before, 2 * _STEP_SECONDS))
            before = moment

    thread = threading.Thread(target=count)
    thread.start()
    try:
        yield lambda: sum(steps)
    finally:
        ended.set()
        thread.join()


@contextmanager
def process(install: Install) -> Iterator["subprocess.Popen[bytes]"]:
    """A server that the test may kill."""
    argv = [sys.executable, "-P", "-m", "management.server", "--config", str(install.config), "serve"]
    with (
        (install.home / "log").open("a") as log,
        subprocess.Popen(argv, stderr=log, env=install.environment(), cwd="/") as server,
    ):
        try:
            install._wait(server)
            yield server
        finally:
            server.kill()


def accept(install: Install, message: str, **fields: Any) -> str | None:
    """The uuid of the accepted call, or None when the server died before it said so."""
    try:
        answer = install.send(json={message: fields})
    except httpx.TransportError:
        return None
    accepted: str = answer.json()["uuid"]
    return accepted


def finished(install: Install, call: str, seconds: float = PATIENCE) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = install.get(f"/zstack/api/result/{call}")
        assert answer.status_code == 200, f"call {call} is lost"
        if answer.json()["state"] == "Done":
            (event,) = json.loads(answer.json()["result"]).values()
            return dict(event)
        time.sleep(0.05)
    raise AssertionError(f"call {call} is still not finished")
