"""The SSH server of a host with an agent goes away: in the middle of a deployment, and before an upgrade."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.crashing import UPGRADE
from tests.e2e.product import call, log_in, version
from tests.lab import Host, Lab

PASSWORD = "only for this test 4713"
_GONE = "systemctl mask --runtime --now ssh.service; pkill -KILL -x sshd || true"
_BACK = "systemctl unmask --runtime ssh.service; systemctl start ssh.service"
_DROP_IN = "/etc/systemd/system/sealift-host-agent.service.d/gone.conf"


@pytest.fixture
def other(lab: Lab) -> Iterator[Host]:
    booted = lab.boot("lonely", root_password=PASSWORD)
    yield booted
    lab.drop(booted)


def row(host: Host, query: str, *, until: str) -> dict[str, Any]:
    """The one row of an answer, once its status is `until`."""
    ends = time.monotonic() + 300
    while True:
        (found,) = call(host, query)["inventories"]
        if found["status"] == until:
            return dict(found)
        assert time.monotonic() < ends, found
        time.sleep(0.3)


def test_a_deployment_and_an_upgrade_without_it(running: Host, other: Host) -> None:
    add = ("AddKVMHost", "name=lonely", f"managementIp={other.address}", "username=root", "password-file=/root/other")
    running.write("/root/other", f"{PASSWORD}\n", 0o600)
    log_in(running)
    # it goes while Ansible waits for the agent's start: all is unpacked by then, and nothing noted
    other.write(_DROP_IN, f"[Service]\nExecStartPre=/bin/sh -c '{_GONE}'\n")
    failed = running.run(["sealift-cli", *add], check=False)
    said = failed.stdout + failed.stderr
    assert failed.returncode == 3, said
    assert "HOST.1000" in said and "SYS.1006" in said, said
    assert f"{other.address}: task [Start the agent] unreachable" in said, said
    assert call(running, "QueryHost")["inventories"] == []
    assert other.exists("/opt/sealift-agents/host/current")
    assert not other.exists("/opt/sealift-agents/host/deployed")

    other.sh(f"rm {_DROP_IN}; systemctl daemon-reload; {_BACK}")
    host = call(running, *add)["inventory"]
    assert host["status"] == "Connected"

    # neither the other host nor this one, where the console agent of 1.1.0 is to run, lets anybody in
    for each in (other, running):
        each.sh(_GONE)
    upgraded = running.run(UPGRADE.words)
    assert "warning: ! sshd: no SSH server runs" in upgraded.stderr
    assert version(running) == "1.1.0"
    row(running, "QueryHost", until="Disconnected")
    row(running, "QueryConsoleProxyAgent", until="Disconnected")
    refused = running.run(["sealift-cli", "ReconnectHost", f"uuid={host['uuid']}"], check=False)
    said = refused.stdout + refused.stderr
    assert refused.returncode == 3 and "HOST.1002" in said and "Connection refused" in said, said

    for each in (other, running):
        each.sh(_BACK)
    call(running, "ReconnectHost", f"uuid={host['uuid']}")
    call(running, "ReconnectConsoleProxyAgent")
    row(running, "QueryHost", until="Connected")
    row(running, "QueryConsoleProxyAgent", until="Connected")
