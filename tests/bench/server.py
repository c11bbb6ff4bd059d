"""The reference product's server beside a bare one: `python -m tests.bench.server [--quick]` prints a table and JSON.

10,000 hosts and 100,000 VMs (--quick: 100 and 1,000), each with a nic and a root volume, on SQLite. Both are asked by
the same clients, in turns; meanwhile all hosts are in maintenance, so that nobody looks after them.

The peer is a Starlette application on the same uvicorn. It runs on the same file, by sqlite3, the very statements that
the server runs for the call: those for the lists inside each row and the look-up of the session too, with the values
bound. It answers with all rows as JSON, by the json of the standard library that Starlette takes. It neither reads the
call nor checks it, holds no snapshot over its statements (no BEGIN), makes no inventories (columns as the database
gives them, moments and nulls too, no list put into its row), and counts and logs nothing.

The server is started twice more: with hosts that it may leave alone, and with hosts of which it has to find out that
none answers. At last it has to hold 1,000 calls (--quick: 50) to an agent that takes them and never calls back.
"""

from __future__ import annotations

import argparse
import http.client
import http.server
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from sqlalchemy import event, insert

from management.server import apis
from management.server.apis.hosts import QueryHost
from management.server.apis.vmqueries import QueryVmInstance
from management.server.apis.vms import StopVmInstance
from management.server.clock import now
from management.server.config import sqlite_url
from management.server.database import Database
from management.server.hosts import AGENT
from management.server.messages import Caller, discover
from management.server.models.hosts import ClusterVO, HostVO, ZoneVO
from management.server.models.identity import ADMIN_UUID, SessionVO
from management.server.models.networks import L2NetworkVO, L3NetworkVO
from management.server.models.vms import VmInstanceVO, VmNicVO
from management.server.models.volumes import VolumeVO
from management.server.query import QueryMessage
from management.server.schema import migrate
from tests.unit.management.conftest import Install, free_port

BOUND = 0.6
"""The server's throughput is to be at least this share of the bare one's."""
START_BOUND, MEMORY_BOUND = 2.0, 300
"""Seconds until it is ready, and MB with all long calls under way."""
SILENT = "127.9.9.9"
"""Where an agent takes calls and never calls back."""
CLIENTS = 4
VMS_PER_HOST = 10
HOSTS_PER_CLUSTER = 100

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
        verdict = "ok" if self.ratio >= BOUND else "MISSED"
        loads = "".join(f"{one.p50:8.1f} {one.p99:8.1f} {one.rate:7.0f}/s |" for one in (self.ours, self.bare))
        return f"{self.what:<44} |{loads} {self.ratio:5.2f} x (>= {BOUND:g}) {verdict}"


@dataclass(frozen=True, slots=True)
class Restart:
    """Seconds from the start to the first answer, and from the signal to the end."""

    what: str
    ready: float
    stopped: float

    def line(self) -> str:
        verdict = "ok" if self.ready <= START_BOUND else "MISSED"
        ready = f"ready {self.ready:.2f} s (<= {START_BOUND:g}) {verdict}"
        return f"{self.what:<44} | {ready} | stopped {self.stopped:.2f} s"


def cases(hosts: int) -> tuple[Case, ...]:
    middle = hosts // 2
    return (
        Case("QueryHost name=...", QueryHost, (("name", "=", f"host-{middle}"),)),
        Case(
            "QueryHost zone.name=... state=...",
            QueryHost,
            (("zone.name", "=", "zone-0"), ("state", "=", "Maintenance")),
        ),
        Case("QueryVmInstance uuid=...", QueryVmInstance, (("uuid", "=", _uuid("vm", middle)),)),
        Case("QueryVmInstance host.name=...", QueryVmInstance, (("host.name", "=", f"host-{middle}"),)),
        Case(
            "QueryVmInstance vmNics.ip=... cluster.name=...",
            QueryVmInstance,
            (("vmNics.ip", "=", _ip(middle)), ("cluster.name", "like", "cluster-%")),
        ),
        Case("QueryVmInstance state=..., 100 rows", QueryVmInstance, (("state", "=", "Running"),), 100),
    )


def _uuid(kind: str, number: int) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{kind}-{number}").hex


def _ip(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def seed(database: Database, hosts: int) -> str:
    """Fill the inventory. Returns the uuid of a session."""
    zone, l2, l3, session_uuid = (_uuid(kind, 0) for kind in ("zone", "l2", "l3", "session"))
    clusters = range(1 + (hosts - 1) // HOSTS_PER_CLUSTER)
    vms = range(hosts * VMS_PER_HOST)
    rows: Sequence[tuple[type[Any], list[dict[str, Any]]]] = (
        (ZoneVO, [{"uuid": zone, "name": "zone-0"}]),
        (ClusterVO, [{"uuid": _uuid("cluster", n), "name": f"cluster-{n}", "zoneUuid": zone} for n in clusters]),
        (HostVO, [_host(n, zone) for n in range(hosts)]),
        (L2NetworkVO, [{"uuid": l2, "name": "l2", "zoneUuid": zone, "physicalInterface": "eth0"}]),
        (L3NetworkVO, [{"uuid": l3, "name": "l3", "zoneUuid": zone, "l2NetworkUuid": l2}]),
        (VmInstanceVO, [_vm(n, zone, l3) for n in vms]),
        (VmNicVO, [_nic(n, l3) for n in vms]),
        (VolumeVO, [_volume(n) for n in vms]),
        (SessionVO, [_session(session_uuid)]),
    )
    with database.write() as session:
        for model, values in rows:
            session.execute(insert(model), values)
    return session_uuid


def _session(session_uuid: str) -> dict[str, Any]:
    moments = {"createDate": now(), "expiredDate": now() + timedelta(days=1)}
    return {"uuid": session_uuid, "accountUuid": ADMIN_UUID, **moments}


def _host(number: int, zone: str) -> dict[str, Any]:
    return {
        "uuid": _uuid("host", number),
        "name": f"host-{number}",
        "zoneUuid": zone,
        "clusterUuid": _uuid("cluster", number // HOSTS_PER_CLUSTER),
        "managementIp": _ip(number),
        "hypervisorType": "KVM",
        "state": "Maintenance",
        "status": "Connected",
        "username": "root",
        "sshPort": 22,
    }


def _vm(number: int, zone: str, l3: str) -> dict[str, Any]:
    host = number // VMS_PER_HOST
    return {
        "uuid": _uuid("vm", number),
        "name": f"vm-{number}",
        "zoneUuid": zone,
        "clusterUuid": _uuid("cluster", host // HOSTS_PER_CLUSTER),
        "hostUuid": _uuid("host", host),
        "rootVolumeUuid": _uuid("volume", number),
        "defaultL3NetworkUuid": l3,
        "type": "UserVm",
        "memorySize": 1 << 30,
        "cpuNum": 1,
        "cpuSpeed": 1000,
        "state": "Running" if number % 3 else "Stopped",
    }


def _nic(number: int, l3: str) -> dict[str, Any]:
    mac = f"fa:16:3e:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    address = {"ip": _ip(number), "netmask": "255.0.0.0", "gateway": "10.0.0.1", "mac": mac}
    owner = {"uuid": _uuid("nic", number), "vmInstanceUuid": _uuid("vm", number), "l3NetworkUuid": l3}
    return {**owner, **address, "deviceId": 0}


def _volume(number: int) -> dict[str, Any]:
    owner = {"uuid": _uuid("volume", number), "vmInstanceUuid": _uuid("vm", number)}
    return {**owner, "name": f"root-{number}", "type": "Root", "size": 1 << 30, "deviceId": 0, "status": "Ready"}


def statements(database: Database, case: Case, session_uuid: str) -> list[tuple[str, tuple[Any, ...]]]:
    """What the server sends to the database for this call, in order."""
    sent: list[tuple[str, tuple[Any, ...]]] = []

    def note(_connection: Any, _cursor: Any, text: str, values: Any, _context: Any, _many: bool) -> None:
        sent.append((text, tuple(values)))

    message = case.message.model_validate(case.fields())
    node: Any = SimpleNamespace(database=database)
    event.listen(database.engine, "before_cursor_execute", note)
    try:
        with database.read() as session:
            session.get(SessionVO, session_uuid)
        answer = message.handle(node, Caller())
    finally:
        event.remove(database.engine, "before_cursor_execute", note)
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


def wait(port: int) -> float:
    """Seconds until the server on `port` is healthy."""
    begun = time.perf_counter()
    while time.perf_counter() - begun < 30:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/healthz")
            if connection.getresponse().status == 200:
                return time.perf_counter() - begun
        except ConnectionError:
            time.sleep(0.01)
        finally:
            connection.close()
    raise SystemExit(f"nothing answers on port {port}")


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

    with ThreadPoolExecutor(CLIENTS) as clients:
        done = [clients.submit(client) for _ in range(CLIENTS)]
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


@contextmanager
def serving(install: Install) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """The server, and the seconds until it was ready."""
    argv = [sys.executable, "-P", "-m", "management.server", "--config", str(install.config), "serve"]
    with subprocess.Popen(argv, env=install.environment(), stderr=subprocess.DEVNULL) as server:
        try:
            yield server, wait(install.port)
        finally:
            server.terminate()


def start_and_stop(install: Install, what: str) -> Restart:
    """Start the server and, when it has been ready for a while, stop it."""
    with serving(install) as (server, ready):
        time.sleep(2)
        begun = time.perf_counter()
        server.terminate()
        server.wait()
        return Restart(what, ready, time.perf_counter() - begun)


class _Silent(http.server.BaseHTTPRequestHandler):
    """An agent that takes every call and never calls back."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.server.taken += 1  # type: ignore[attr-defined]

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


def hold(install: Install, server: subprocess.Popen[bytes], session_uuid: str, number: int) -> int:
    """MB that the server has while so many calls wait for agents.

    Raises:
        SystemExit: not all of them were begun.
    """
    running = [vm for vm in range(2 * number) if vm % 3][:number]
    hosts = sorted({f"host-{vm // VMS_PER_HOST}" for vm in running})
    marks = ", ".join("?" * len(hosts))
    install.sql(f"update HostEO set managementIp = '{SILENT}' where name in ({marks})", *hosts)
    with http.server.ThreadingHTTPServer((SILENT, AGENT.port), _Silent) as agent:
        agent.taken = 0  # type: ignore[attr-defined]
        threading.Thread(target=agent.serve_forever, daemon=True).start()
        for vm in running:
            body = {StopVmInstance.wire_name: {"uuid": _uuid("vm", vm), "session": {"uuid": session_uuid}}}
            _post(install.port, body)
        ends = time.monotonic() + 120
        while agent.taken < number:  # type: ignore[attr-defined]
            if time.monotonic() > ends:
                raise SystemExit(f"of {number} calls {agent.taken} were begun")  # type: ignore[attr-defined]
            time.sleep(0.1)
        memory = _memory(server.pid, "VmRSS")
        agent.shutdown()
    return memory


def _post(port: int, body: object) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("POST", "/zstack/api/", json.dumps(body), {"Content-Type": "application/json"})
    answer = json.loads(connection.getresponse().read())
    connection.close()
    if answer["state"] != "Processing":
        raise SystemExit(f"a call was not accepted: {answer}")


def queries(install: Install, hosts: int, session_uuid: str, seconds: float) -> dict[str, Any]:
    """All cases, and the most memory that the server took for them."""
    rows: list[Row] = []
    with serving(install) as (server, _):
        print(f"{'p50 ms, p99 ms, answers; ours | bare':<44}")
        for case in cases(hosts):
            rows.append(measure(install, case, session_uuid, seconds))
            print(rows[-1].line(), flush=True)
        peak = _memory(server.pid, "VmHWM")
    print(f"peak memory of the server: {peak} MB")
    return {"peak_mb": peak, "queries": [{**asdict(row), "ratio": round(row.ratio, 3)} for row in rows]}


def starts_and_calls(install: Install, hosts: int, session_uuid: str, calls: int) -> dict[str, Any]:
    """How soon it is ready, and how much memory so many calls take that nobody finishes."""
    restarts = [start_and_stop(install, f"{hosts} hosts in maintenance")]
    with serving(install) as (server, _):
        memory = hold(install, server, session_uuid, calls)
        print(f"memory with {calls} calls under way: {memory} MB (<= {MEMORY_BOUND})")
        server.kill()
    install.sql("update HostEO set state = 'Enabled', status = 'Connected'")
    restarts.append(start_and_stop(install, f"{hosts} hosts, none of which answers"))
    for restart in restarts:
        print(restart.line())
    return {"starts": [asdict(restart) for restart in restarts], "calls": calls, "calls_mb": memory}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: whether it works, not how fast it is")
    parser.add_argument("--only", choices=["queries"], help="leave out the starts and the long calls")
    options = parser.parse_args()
    discover(apis)  # links between inventories reach those of all modules
    hosts, seconds, calls = (100, 0.5, 50) if options.quick else (10_000, 3.0, 1000)
    with tempfile.TemporaryDirectory(prefix="sealift-bench-", dir="/var/tmp") as name:
        install = Install(Path(name))
        database = Database(sqlite_url(install.database))
        migrate(database)
        session_uuid = seed(database, hosts)
        database.close()
        start_and_stop(install, "the first start makes keys and tables")
        figures = queries(install, hosts, session_uuid, seconds)
        if options.only is None:
            figures |= starts_and_calls(install, hosts, session_uuid, calls)
    print(json.dumps({**figures, "cpus": os.cpu_count()}))


def _memory(pid: int, which: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{which}:")) >> 10


if __name__ == "__main__":
    main()
