"""Servers that a test may kill, on one database, and calls to them that are not waited for."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
from sqlalchemy import URL

from tests.unit.management.conftest import Install


def keep_in(url: URL, install: Install) -> None:
    """Have the install keep its data in that database of the tests' PostgreSQL."""
    plain = f"postgresql://{url.username}@/{url.database}?host={url.query['host']}"
    install.config.write_text(install.config.read_text() + f'[database]\nurl = "{plain}"\n')


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
        answer = httpx.post(f"{install.url}/zstack/api", json={message: fields}, timeout=30)
    except httpx.TransportError:
        return None
    accepted: str = answer.json()["uuid"]
    return accepted


def finished(install: Install, call: str, seconds: float) -> dict[str, Any]:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        answer = httpx.get(f"{install.url}/zstack/api/result/{call}", timeout=30)
        assert answer.status_code == 200, f"call {call} is lost"
        if answer.json()["state"] == "Done":
            (event,) = json.loads(answer.json()["result"]).values()
            return dict(event)
        time.sleep(0.05)
    raise AssertionError(f"call {call} is still not finished")
