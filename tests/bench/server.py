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
import subprocess
import tempfile
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from management.server import apis
from management.server.apis.vms import StopVmInstance
from management.server.config import sqlite_url
from management.server.database import Database
from management.server.hosts import AGENT
from management.server.messages import discover
from management.server.schema import migrate
from tests.bench.server_queries import Row, cases, measure
from tests.bench.server_running import memory_of, serving
from tests.bench.server_seed import VMS_PER_HOST, seed, uuid_of
from tests.unit.management.conftest import Install

START_BOUND, MEMORY_BOUND = 2.0, 300
"""Seconds until it is ready, and MB with all long calls under way."""
SILENT = "127.9.9.9"
"""Where an agent takes calls and never calls back."""


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


def start_and_stop(install: Install, what: str) -> Restart:
    """Start the server and, when it has been ready for a while, stop it."""
    with serving(install) as (server, ready):
        time.sleep(2)
        begun = time.perf_counter()
        server.terminate()
        server.wait()
        return Restart(what, ready, time.perf_counter() - begun)


class _Silent(http.server.BaseHTTPRequestHandler):
    """An agent that takes every call and never calls back. `taken` says how many."""

    taken: ClassVar[int] = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()
        _Silent.taken += 1

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
        threading.Thread(target=agent.serve_forever, daemon=True).start()
        for vm in running:
            body = {StopVmInstance.wire_name: {"uuid": uuid_of("vm", vm), "session": {"uuid": session_uuid}}}
            _post(install.port, body)
        ends = time.monotonic() + 120
        while _Silent.taken < number:
            if time.monotonic() > ends:
                raise SystemExit(f"of {number} calls {_Silent.taken} were begun")
            time.sleep(0.1)
        memory = memory_of(server.pid, "VmRSS")
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
        peak = memory_of(server.pid, "VmHWM")
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


if __name__ == "__main__":
    main()
