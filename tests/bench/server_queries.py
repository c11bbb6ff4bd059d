"""Queries to the server, and the same SQL sent by a bare one."""

from __future__ import annotations

import http.client
import json
import signal
import sqlite3
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import event

from management.server.apis.hosts import QueryHost
from management.server.apis.vmqueries import QueryVmInstance
from management.server.calls import SESSION
from management.server.config import sqlite_url
from management.server.database import Database
from management.server.messages import Caller
from management.server.query import QueryMessage
from management.server.statements import fetch
from tests.bench.server_running import wait
from tests.bench.server_seed import ip_of, uuid_of
from tests.ports import free_port
from tests.unit.management.conftest import Install

_BOUND = 0.6
"""The server's throughput is to be at least this share of the bare one's."""
_CLIENTS = 4

_BARE = """
import json, sqlite3, sys, threading
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route

database, statements, port = sys.argv[1], json.loads(sys.argv[2]), int(sys.argv[3])
local = threading.local()

def answer(request):
    if not hasattr(local, "database"):
        local.database = sqlite3.connect(database)
        local.database.row_factory = sqlite3.Row
    results = [local.database.execute(text, values).fetchall() for text, values in statements]
    return JSONResponse([[dict(row) for row in rows] for rows in results])

app = Starlette(routes=[Route("/zstack/api/", answer, methods=["POST"]), Route("/healthz", lambda _: JSONResponse({}))])
uvicorn.run(app, port=port, log_level="error", access_log=False)
"""


@dataclass(frozen=True, slots=True)
class Case:
    """A query, as a person would ask it."""

    name: str
    message: type[QueryMessage]
    conditions: tuple[tuple[str, str, str], ...]
    limit: int = 20

    def fields(self) -> dict[str, Any]:
        wire = [{"name": name, "op": op, "value": value} for name, op, value in self.conditions]
        return {"conditions": wire, "limit": self.limit}


@dataclass(frozen=True, slots=True)
class Load:
    """What some clients saw: milliseconds of the median and of the slowest in a hundred, answers in a second."""

    p50: float
    p99: float
    rate: float


@dataclass(frozen=True, slots=True)
class Row:
    """One case, ours and the bare server's."""

    what: str
    ours: Load
    bare: Load

    @property
    def ratio(self) -> float:
        return self.ours.rate / self.bare.rate

    def line(self) -> str:
        verdict = "ok" if self.ratio >= _BOUND else "MISSED"
        loads = "".join(f"{one.p50:8.1f} {one.p99:8.1f} {one.rate:7.0f}/s |" for one in (self.ours, self.bare))
        return f"{self.what:<44} |{loads} {self.ratio:5.2f} x (>= {_BOUND:g}) {verdict}"


def cases(hosts: int) -> tuple[Case, ...]:
    middle = hosts // 2
    return (
        Case("QueryHost name=...", QueryHost, (("name", "=", f"host-{middle}"),)),
        Case(
            "QueryHost zone.name=... state=...",
            QueryHost,
            (("zone.name", "=", "zone-0"), ("state", "=", "Maintenance")),
        ),
        Case("QueryVmInstance uuid=...", QueryVmInstance, (("uuid", "=", uuid_of("vm", middle)),)),
        Case("QueryVmInstance host.name=...", QueryVmInstance, (("host.name", "=", f"host-{middle}"),)),
        Case(
            "QueryVmInstance vmNics.ip=... cluster.name=...",
            QueryVmInstance,
            (("vmNics.ip", "=", ip_of(middle)), ("cluster.name", "like", "cluster-%")),
        ),
        Case("QueryVmInstance state=..., 100 rows", QueryVmInstance, (("state", "=", "Running"),), 100),
    )


def statements(database: Database, case: Case, session_uuid: str) -> list[tuple[str, tuple[Any, ...]]]:
    """What the server sends to the database for this call, in order."""
    sent: list[tuple[str, tuple[Any, ...]]] = []

    class Noting(sqlite3.Cursor):
        def execute(self, text: str, values: Any = (), /) -> Noting:
            sent.append((text, tuple(values)))
            super().execute(text, values)
            return self

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Noting) -> Any:
            return super().cursor(factory)

    @event.listens_for(database.engine, "do_connect")
    def note(_dialect: Any, _record: Any, _words: Any, options: dict[str, Any]) -> None:
        options["factory"] = Connection

    message = case.message.model_validate(case.fields())
    node: Any = SimpleNamespace(database=database)
    with database.snapshot() as snapshot:
        sent.clear()  # BEGIN
        fetch(snapshot, SESSION, {"uuid": session_uuid})
        answer = message.handle(node, Caller())
    if not answer["inventories"]:
        raise SystemExit(f"{case.name}: no rows; the measurement would be of nothing")
    return sent


@contextmanager
def bare(database: Path, sql: list[tuple[str, tuple[Any, ...]]]) -> Iterator[int]:
    """The peer; gives its port."""
    port = free_port()
    words = [sys.executable, "-c", _BARE, str(database), json.dumps(sql, default=str), str(port)]
    with subprocess.Popen(words) as server:
        try:
            wait(port)
            yield port
        finally:
            server.send_signal(signal.SIGTERM)


def load(port: int, body: bytes, seconds: float) -> Load:
    """Ask for `seconds` with some clients at once, each on one connection that stays open."""
    until = time.perf_counter() + seconds

    def client() -> list[float]:
        taken = []
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        while (begun := time.perf_counter()) < until:
            connection.request("POST", "/zstack/api/", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status != 200 or b'\\"success\\":false' in content:
                raise SystemExit(content.decode())
            taken.append(time.perf_counter() - begun)
        connection.close()
        return taken

    with ThreadPoolExecutor(_CLIENTS) as clients:
        done = [clients.submit(client) for _ in range(_CLIENTS)]
    taken = [each for one in done for each in one.result()]
    cuts = statistics.quantiles(taken, n=100)
    return Load(1000 * cuts[49], 1000 * cuts[98], len(taken) / seconds)


def measure(install: Install, case: Case, session_uuid: str, seconds: float) -> Row:
    """Ours and the peer in turns; of three rounds the one in the middle."""
    database = Database(sqlite_url(install.database))
    sql = statements(database, case, session_uuid)
    database.close()
    body = json.dumps({case.message.wire_name: {**case.fields(), "session": {"uuid": session_uuid}}}).encode()
    ours: list[Load] = []
    theirs: list[Load] = []
    with bare(install.database, sql) as port:
        for _ in range(3):
            ours.append(load(install.port, body, seconds))
            theirs.append(load(port, body, seconds))
    return Row(case.name, *(sorted(loads, key=lambda one: one.rate)[1] for loads in (ours, theirs)))
