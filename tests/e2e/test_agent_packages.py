"""Hosts get packages from the management host by the reference product's own deployment; nothing else is reached."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.product import call, log_in
from tests.lab import Host, Lab

PASSWORD = "only for this test 4712"
HOST_FILES = ("/etc/yum.repos.d", "/etc/dnf")


@pytest.fixture
def other(lab: Lab) -> Iterator[Host]:
    booted = lab.boot("packaged", root_password=PASSWORD)
    yield booted
    lab.drop(booted)


def test_a_host_gets_packages_with_its_agent(lab: Lab, bare: Host, other: Host) -> None:
    bare.write("/root/answers.toml", f'management_ip = "{bare.address}"\n')
    bare.write("/root/other-password", f"{PASSWORD}\n", 0o600)
    bare.run(["bash", "sealift-installer-1.1.0.bin", "-o", "-y", "--config", "answers.toml"])
    listening = bare.sh("until ss -Hltn sport = :8079 | grep .; do sleep 0.1; done", timeout=60)
    assert listening.split()[3] == f"{bare.address}:8079"
    log_in(bare)
    files = other.tree(HOST_FILES)
    assert other.run(["rpm", "-q", "qemu-utils"], check=False).returncode == 1
    with lab.capture(bare, allow=[other]) as ours, lab.capture(other, allow=[bare]) as theirs:
        words = (f"managementIp={other.address}", "username=root", "password-file=/root/other-password")
        host = call(bare, "AddKVMHost", "name=packaged", *words)["inventory"]
    assert ours.packets == theirs.packets == []
    assert host["status"] == "Connected"
    other.run(["rpm", "-q", "qemu-utils"])
    signed = other.sh("rpm -q qemu-utils --qf '%{SIGPGP:pgpsig}%{RSAHEADER:pgpsig}'")
    assert "Key ID" in signed
    assert other.tree(HOST_FILES) == files
    assert "baseurl=http://" in other.read("/opt/sealift-agents/host/packages/sealift.repo")

    other.run(["rpm", "-e", "--nodeps", "qemu-utils"])
    bare.sh("echo forged >>$(ls /opt/sealift/current/repository/Packages/qemu-utils-*.rpm)")
    other.run(["rm", "/opt/sealift-agents/host/deployed"])
    failed = bare.run(["sealift-cli", "ReconnectHost", f"uuid={host['uuid']}"], check=False)
    assert failed.returncode != 0
    assert "Install packages of the operating system" in failed.stdout + failed.stderr
    assert other.run(["rpm", "-q", "qemu-utils"], check=False).returncode == 1
