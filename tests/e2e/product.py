"""The installed reference product, used as its administrators use it."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.lab import Host

ADMIN_PASSWORD = "/etc/sealift/admin_password"
TOUCHED = ("/etc", "/usr/local/bin", "/opt", "/root/.ssh", "/var/lib/sealift")
"""What an install changes, packages apart."""
NOT_STATE = ("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/etc/.pwd.lock", "/etc/ld.so.cache")
"""Backups and caches that tools keep when accounts and packages come and go."""


def log_in(host: Host) -> None:
    """Log the shell's session in; the password comes from the file that the installer names."""
    host.run(["sealift-cli", "LogInByAccount", "accountName=admin", f"password-file={ADMIN_PASSWORD}"])


def call(host: Host, *words: str, timeout: float = 300) -> dict[str, Any]:
    """One API call through the shell's one-shot mode; returns the JSON it prints."""
    answer: dict[str, Any] = json.loads(host.run(["sealift-cli", *words], timeout=timeout).stdout)
    assert answer["success"] is True
    return answer


def wait_for_console(host: Host, *options: str, seconds: float = 90) -> dict[str, Any]:
    """The console proxy agent's row once it is connected."""
    deadline = time.monotonic() + seconds
    while True:
        (agent,) = call(host, *options, "QueryConsoleProxyAgent")["inventories"]
        if agent["status"] == "Connected":
            return dict(agent)
        assert time.monotonic() < deadline, agent
        time.sleep(0.3)


_HEALTH = """
import sys, urllib.error, urllib.request
try:
    print(urllib.request.urlopen("http://127.0.0.1:8080/healthz").read().decode())
except urllib.error.HTTPError as error:
    sys.exit(error.read().decode())
"""


def version(host: Host) -> str:
    """The version that the API says; a node that is not well fails with its reason."""
    return str(json.loads(host.run(["python3", "-c", _HEALTH]).stdout)["version"])


def database(host: Host) -> dict[str, list[str]]:
    """All rows of the tables that people fill, as text; empty without a database. The engine's own change at every
    start."""
    if not host.exists("/var/lib/sealift/sealift.db"):
        return {}
    script = (
        "import sqlite3, json; c = sqlite3.connect('file:/var/lib/sealift/sealift.db?mode=ro', 120, uri=True)\n"
        "names = [r[0] for r in c.execute(\"select name from sqlite_master where type = 'table' order by name\")]\n"
        "skip = {'ManagementNodeVO', 'ConsoleProxyAgentVO', 'SessionVO'}\n"
        "names = [n for n in names if (n[-2:] in ('VO', 'EO') or n == 'alembic_version') and n not in skip]\n"
        "print(json.dumps({n: sorted(map(repr, c.execute(f'select * from {n}'))) for n in names}))"
    )
    rows: dict[str, list[str]] = json.loads(host.run(["python3", "-c", script]).stdout)
    return rows


def schema(host: Host) -> str:
    """The database's schema; empty without a database."""
    if not host.exists("/var/lib/sealift/sealift.db"):
        return ""
    script = (
        "import sqlite3; c = sqlite3.connect('file:/var/lib/sealift/sealift.db?mode=ro', 120, uri=True)\n"
        "print('\\n'.join(sorted(r[0] or '' for r in c.execute('select sql from sqlite_master'))))"
    )
    return host.run(["python3", "-c", script]).stdout
