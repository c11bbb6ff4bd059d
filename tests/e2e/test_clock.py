"""The wall clock of a host jumps by a year while it is upgraded, and again before it goes back."""

from __future__ import annotations

import json
import re

import pytest

from tests.e2e.crashing import ROLLBACK, UPGRADE
from tests.e2e.product import log_in, version, wait_for_console
from tests.e2e.state import settle
from tests.e2e.watching import JOURNALS, last_journal, watch
from tests.lab import Host
from tests.lab.wallclock import WallClock

YEAR = 365 * 86_400
LOGS = "/var/log/sealift/install-*.log"
_TLS = """
import ssl, urllib.request
trust = ssl.create_default_context(cafile="/var/lib/sealift/tls/ca.pem")
print(urllib.request.urlopen("https://localhost:8443/healthz", context=trust).status)
"""


def notes(host: Host) -> dict[str, str]:
    """Logs and journals of all runs, by path, each with the digest of its content."""
    lines = host.sh(f"sha256sum {LOGS} {JOURNALS}/*.jsonl").splitlines()
    return {path: digest for digest, _, path in (line.partition("  ") for line in lines)}


@pytest.mark.parametrize("jump", [-YEAR, YEAR], ids=["back", "forward"])
def test_an_upgrade_ends_well_and_the_right_release_follows(running: Host, jump: int) -> None:
    host, clock = running, WallClock.give(running)
    host.sh("systemctl restart sealift-server")
    settle(host)
    right, known = clock.now(), notes(host)

    watcher = host.popen(watch(host, "stop", clock.shifting(jump)))
    said = host.run(UPGRADE.words).stdout
    assert watcher.finish().stdout == "reached\n"
    assert abs(clock.now() - right - jump) < YEAR // 2
    away = re.search(r"was away: +(\d+\.\d) s", said)
    assert away and 0 < float(away[1]) < YEAR / 2, said
    settle(host)
    assert version(host) == "1.1.0"
    log_in(host)
    wait_for_console(host)
    check(host, known, runs=2)
    assert [json.loads(line)["record"] for line in last_journal(host)][-2:] == ["committed", "closed"]
    (log,) = set(host.sh(f"ls {LOGS}").split()) - {path for path in known if path.endswith(".log")}
    years = {line[:4] for line in host.read(log).splitlines() if re.match(r"\d{4}-", line)}
    assert len(years) == 2, "the log has both times"

    known = notes(host)
    assert "1.0.0 is current again" in host.run(ROLLBACK.words).stdout
    assert version(host) == "1.0.0"
    check(host, known, runs=3)

    clock.shift(0)
    known = notes(host)
    host.run(["sealift-ctl", "rollback", "--to", "1.1.0", "-y"])
    settle(host)
    assert version(host) == "1.1.0"
    check(host, known, runs=4)
    rows = json.loads(host.sh("sealift-ctl releases --json"))
    assert [(row["version"], row["current"]) for row in rows] == [("1.0.0", False), ("1.1.0", True)]


def check(host: Host, known: dict[str, str], *, runs: int) -> None:
    """Nothing of an earlier run was changed, all came to their end, and the server's certificate is valid."""
    found = notes(host)
    assert {path: found.get(path) for path in known} == known
    assert len(found) == 2 * runs
    assert "unfinished" not in host.sh("sealift-ctl status")
    assert host.run(["python3", "-c", _TLS]).stdout == "200\n"
