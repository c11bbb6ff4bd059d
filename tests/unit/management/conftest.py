"""A real server process on a free port for the whole session, and the folders it needs."""

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from management import deadlines
from management.server.config import load_config, sqlite_url
from management.server.database import Database
from management.server.node import Node
from management.server.passwords import set_password
from management.server.schema import migrate
from tests.paths import CHECKOUT
from tests.ports import free_port
from tests.unit.management.patience import PATIENCE
from tests.unit.management.postgresql import Cluster, running

PASSWORD = "correct horse 'battery\""


@dataclass
class Install:
    """One install of the server in a scratch folder; `root` is the folder that holds the package management."""

    home: Path
    root: Path = CHECKOUT
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.port, self.tls_port = free_port(), free_port()
        self.data = self.home / "data"
        self.config = self.home / "server.toml"
        (self.data / "keys").mkdir(parents=True, exist_ok=True)
        (self.home / "agents").mkdir(exist_ok=True)
        self.config.write_text(
            f'data_dir = "{self.data}"\nagents_dir = "{self.home / "agents"}"\n'
            f"listen_port = {self.port}\ntls_port = {self.tls_port}\n"
            "session_seconds = 86400\n"  # the session of the whole run must not end before it
        )

    @property
    def database(self) -> Path:
        return self.data / "sealift.db"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(self.root), "HOME": str(self.home), **self.variables}

    def sql(self, statement: str, *values: object) -> list[Any]:
        """Look into, or change, the database behind the server's back."""
        with closing(sqlite3.connect(self.database, timeout=PATIENCE)) as database, database:
            return database.execute(statement, values).fetchall()

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-P", "-m", "management.server", "--config", str(self.config), *words]
        return subprocess.run(
            argv, input=stdin, capture_output=True, text=True, env=self.environment(), check=False, cwd="/"
        )

    def shell(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        return self.run_shell("-p", str(self.port), *words, stdin=stdin)

    def run_shell(self, *options: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-P", "-m", "management.cli", *options]
        return subprocess.run(
            argv, input=stdin, capture_output=True, text=True, env=self.environment(), check=False, cwd="/"
        )

    def prepare(self) -> "Install":
        """Migrate and set the password: by the command line for a copy, in this process for this release."""
        if self.root != CHECKOUT:
            for done in (self.run("migrate"), self.run("set-admin-password", stdin=PASSWORD + "\n")):
                assert done.returncode == 0, done.stderr
            return self
        database = Database(sqlite_url(self.database))
        migrate(database)
        set_password(database, "admin", PASSWORD, if_unset=False)
        database.close()
        self.database.chmod(0o600)
        return self

    def serve(self) -> Iterator["Install"]:
        argv = [sys.executable, "-P", "-m", "management.server", "--config", str(self.config), "serve"]
        with (
            (self.home / "log").open("w") as log,
            subprocess.Popen(argv, stderr=log, env=self.environment(), cwd="/") as server,
        ):
            try:
                self._wait(server)
                yield self
            finally:
                server.terminate()
                # uvicorn stops in order and then ends by the signal that asked for it.
                assert server.wait(PATIENCE) in (0, -signal.SIGTERM), (self.home / "log").read_text()

    def _wait(self, server: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert server.poll() is None, (self.home / "log").read_text()
            try:
                if self.get("/healthz").status_code == 200:
                    return
            except httpx.TransportError:
                time.sleep(0.05)
        raise AssertionError(f"not healthy after {PATIENCE:.0f} s: {(self.home / 'log').read_text()}")

    def get(self, path: str, **more: Any) -> httpx.Response:
        return httpx.get(self.url + path, timeout=PATIENCE, **more)

    def send(self, **more: Any) -> httpx.Response:
        """Send what is given to where calls are sent to."""
        return httpx.post(f"{self.url}/zstack/api", timeout=PATIENCE, **more)

    def post(self, message: str, **fields: Any) -> dict[str, Any]:
        """Send one call and return the answer with its envelope."""
        response = self.send(content=json.dumps({message: fields}))
        assert response.status_code == 200, response.text
        state = response.json()
        deadline = time.monotonic() + 600
        while state["state"] != "Done" and time.monotonic() < deadline:
            time.sleep(0.02)
            state = self.get(f"/zstack/api/result/{state['uuid']}").json()
        answer: dict[str, Any] = json.loads(state["result"])
        return answer

    def ask(self, session: dict[str, str], message: str, **fields: Any) -> dict[str, Any]:
        """Send one call as whoever has this session, and return the answer without its envelope."""
        (answer,) = self.post(message, session=session, **fields).values()
        return dict(answer)

    def log_in(self) -> dict[str, str]:
        digest = hashlib.sha512(PASSWORD.encode()).hexdigest()
        message = "org.zstack.header.identity.APILogInByAccountMsg"
        (answer,) = self.post(message, accountName="admin", password=digest).values()
        return {"uuid": answer["inventory"]["uuid"]}


class Clock:
    """Goes on when it is told to."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What deadlines go by."""
    made = Clock()
    monkeypatch.setattr(deadlines, "time", made)
    return made


@pytest.fixture
def port() -> int:
    """A port that nobody listens on."""
    return free_port()


@pytest.fixture
def make_install(tmp_path: Path) -> Callable[..., Install]:
    """Make more installs in this test's scratch folder."""

    def make(name: str = "install", root: Path = CHECKOUT) -> Install:
        home = tmp_path / name
        home.mkdir()
        return Install(home, root)

    return make


@pytest.fixture
def node(make_install: Callable[..., Install]) -> Iterator[Node]:
    """A node in this process, which is not started."""
    made = Node(load_config(make_install().prepare().config))
    yield made
    made.database.close()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Install]:
    """A migrated server with an admin password, serving. It has no agents to deploy."""
    yield from Install(tmp_path_factory.mktemp("server")).prepare().serve()


@pytest.fixture(scope="session")
def session(server: Install) -> dict[str, str]:
    """A session of admin. A test that ends one makes its own."""
    return server.log_in()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL server for the whole session."""
    with running() as cluster:
        yield cluster


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The URL of an empty database, of each kind that the server knows."""
    if request.param == "sqlite":
        return sqlite_url(tmp_path / "x.db")
    cluster: Cluster = request.getfixturevalue("postgresql")
    return cluster.create(uuid.uuid4().hex)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A migrated database in a file. Tests of both kinds make their own from `database_url`."""
    made = Database(sqlite_url(tmp_path / "x.db"))
    migrate(made)
    yield made
    made.close()
