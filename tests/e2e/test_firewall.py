"""Ports in a real firewalld, on a host of the lab: opened, closed, put back; and what is not the product's is left."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from installer.drift.surroundings import surroundings_findings
from installer.layout import Layout
from installer.steps import Host, OpenPorts
from installer.surroundings import look_around
from payload import effects
from payload.errors import CommandError
from tests.lab import Host as LabHost
from tests.lab import Lab
from tests.lab.cache import Cache
from tests.lab.firewalld import firewalld
from tests.lab.repository import repository
from tests.unit.installer.preflight.fitting import OFFER

HTTP, DNS, SSH = "8080/tcp", "53/udp", "22/tcp"


@pytest.fixture(scope="module")
def guarded(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabHost]:
    """A host on which firewalld runs."""
    host, cache, lacking = lab.boot("guarded"), Cache(), tmp_path_factory.mktemp("lacking")
    there = {name.rsplit("-", 2)[0] for name in host.rpm_qa()}
    for rpm in firewalld(cache, repository(cache)).glob("*.rpm"):
        if rpm.name.rsplit("-", 2)[0] not in there:
            (lacking / rpm.name).symlink_to(rpm)
    for rpm in lacking.iterdir():
        host.put(rpm, f"/root/packages/{rpm.name}")
    host.sh(
        "rpm -i --nodeps --nosignature /root/packages/*.rpm; systemctl daemon-reload; systemctl reload dbus; ldconfig"
    )
    start(host)
    host.sh("firewall-cmd --permanent --add-port=22/tcp; firewall-cmd --reload; firewall-cmd --add-port=53/udp")
    yield host
    lab.drop(host)


def start(host: LabHost) -> None:
    """Not by systemd: what that starts on a host of the lab may not set rules, though it has its own."""
    host.popen(["firewalld", "--nofork", "--nopid"])
    host.sh("for i in $(seq 100); do firewall-cmd -q --state && exit 0; sleep 0.2; done; exit 1")


def stop(host: LabHost) -> None:
    host.sh("pkill -f '[f]irewalld --nofork'; while firewall-cmd -q --state; do sleep 0.2; done")


@pytest.fixture
def host(guarded: LabHost, tmp_path: Path) -> Host:
    """What steps act through: their commands run on the lab's host, their own files are here."""

    def run(argv: tuple[str, ...], *, check: bool = True, **_options: Any) -> effects.Completed:
        done = guarded.run(list(argv), check=False)
        if check and done.returncode:
            raise CommandError(argv, done.returncode, done.stdout + done.stderr)
        return effects.Completed(argv, done.returncode, done.stdout, done.stderr)

    return Host(scratch=tmp_path / "scratch", run=run)


def ports(host: LabHost) -> tuple[set[str], set[str]]:
    """What is open now, and what is after a reload."""
    live, kept = (host.sh(f"firewall-cmd {option} --list-ports").split() for option in ("", "--permanent"))
    return set(live), set(kept)


def rules(host: LabHost) -> str:
    """What the kernel does."""
    return host.sh("nft list table inet firewalld")


def opening(layout: Layout, *wanted: str) -> OpenPorts:
    layout.state_dir.mkdir(parents=True, exist_ok=True)
    return OpenPorts(record=layout.firewall_record, ports=wanted, firewall="firewalld", reason="a test")


def test_ports_of_a_product(guarded: LabHost, host: Host, tmp_path: Path) -> None:
    layout = Layout.of("app", root=tmp_path)
    before = ({SSH, DNS}, {SSH})
    assert ports(guarded) == before and "8080" not in rules(guarded)
    assert look_around(layout, host, wants_ports=True).firewall == "firewalld"
    step = opening(layout, HTTP, DNS, SSH)
    undo = step.prepare(host)
    step.apply(host, undo)
    assert ports(guarded) == ({SSH, DNS, HTTP}, {SSH, DNS, HTTP})
    assert "tcp dport 8080 accept" in rules(guarded)
    wants = replace(OFFER, ports=(HTTP, DNS))
    assert list(surroundings_findings(wants, host)) == []
    for _ in range(2):
        step.undo(undo, host)
        assert ports(guarded) == before
    assert [finding.subject for finding in surroundings_findings(wants, host)] == [HTTP, DNS]
    assert "8080" not in rules(guarded)

    step.apply(host, step.prepare(host))
    guarded.run(["firewall-cmd", "--reload"])
    assert "tcp dport 8080 accept" in rules(guarded)
    stop(guarded)
    assert look_around(layout, host, wants_ports=True).firewall == "firewalld"
    removal = opening(layout)
    removal.apply(host, removal.prepare(host))
    start(guarded)
    assert ports(guarded) == ({SSH}, {SSH})
    assert not layout.firewall_record.exists()
    assert look_around(layout, host, wants_ports=False).firewall is None


def test_a_stopped_firewall_is_none(guarded: LabHost, host: Host, tmp_path: Path) -> None:
    stop(guarded)
    assert look_around(Layout.of("app", root=tmp_path), host, wants_ports=True).firewall is None
