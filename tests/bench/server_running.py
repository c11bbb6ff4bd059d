"""A server of the product under measurement: started, waited for, ended."""

from __future__ import annotations

import http.client
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.unit.management.conftest import Install


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


@contextmanager
def serving(install: Install) -> Iterator[tuple[subprocess.Popen[bytes], float]]:
    """The server, and the seconds until it was ready."""
    argv = [sys.executable, "-P", "-m", "management.server", "--config", str(install.config), "serve"]
    with subprocess.Popen(argv, env=install.environment(), stderr=subprocess.DEVNULL) as server:
        try:
            yield server, wait(install.port)
        finally:
            server.terminate()


def memory_of(pid: int, which: str) -> int:
    """MB of a process, by the name of a line of its status."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{which}:")) >> 10
