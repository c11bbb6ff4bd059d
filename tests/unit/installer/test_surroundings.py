"""Kernel settings and ports in plans, in what is seen of a host, and in what `verify` says and mends."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from installer import parts
from installer.drift.mending import plan_mending
from installer.drift.surroundings import surroundings_findings
from installer.layout import Layout
from installer.parts import Site
from installer.steps import AnyStep, Host, OpenPorts, SetSysctls
from installer.steps.sysctl import Setting
from installer.surroundings import Surroundings, look_around
from payload import effects
from payload.errors import CommandError
from tests.unit.installer.preflight.fitting import OFFER

WANTS = replace(OFFER, settings=(Setting("net.ipv4.ip_forward", "1"),), ports=("8080/tcp",))


def site(tmp_path: Path, around: Surroundings) -> Site:
    layout = Layout.of("app", root=tmp_path)
    return Site(layout=layout, run="run", stamp="now", homes={}, active=False, surroundings=around)


def around(site: Site, offer: Any) -> list[AnyStep]:
    return [*parts.kernel(site, offer), *parts.firewall(site, offer)]


def test_a_release_gets_what_it_wants(tmp_path: Path) -> None:
    kernel, ports = around(site(tmp_path, Surroundings("firewalld")), WANTS)
    assert isinstance(kernel, SetSysctls) and isinstance(ports, OpenPorts)
    assert (kernel.settings, kernel.file) == (WANTS.settings, tmp_path / "etc/sysctl.d/90-app.conf")
    assert (ports.ports, ports.firewall) == (("8080/tcp",), "firewalld")
    assert around(site(tmp_path, Surroundings("firewalld")), OFFER) == []


def test_what_only_an_earlier_release_wanted_goes(tmp_path: Path) -> None:
    changed = site(tmp_path, Surroundings("firewalld", has_settings=True, has_ports=True))
    for steps in (around(changed, OFFER), [*parts.forget_kernel(changed), *parts.close_ports(changed)]):
        kernel, ports = steps
        assert isinstance(kernel, SetSysctls) and isinstance(ports, OpenPorts)
        assert (kernel.settings, ports.ports) == ((), ())
    untouched = site(tmp_path, Surroundings("firewalld"))
    assert parts.forget_kernel(untouched) == parts.close_ports(untouched) == []


def test_the_plan_says_that_no_firewall_is_active(tmp_path: Path) -> None:
    (_, ports) = around(site(tmp_path, Surroundings()), WANTS)
    assert ports.describe() == "no firewall is active, so nothing is to be opened for 8080/tcp"


def runs(answers: dict[str, tuple[int, str]]) -> Any:
    def run(argv: tuple[str, ...], *, check: bool = True, **_options: Any) -> effects.Completed:
        code, output = answers.get(" ".join(argv), (127, ""))
        if code and (check or code == 127):
            raise CommandError(argv, code, "")
        return effects.Completed(argv, code, output, "")

    return run


RULES = "chain input { type filter hook input priority 0; policy drop; tcp dport 22 accept }"


@pytest.mark.parametrize(
    ("answers", "record", "firewall"),
    [
        ({}, False, None),
        ({"firewall-cmd --state": (0, "running")}, False, "firewalld"),
        ({"firewall-cmd --state": (252, "not running")}, False, None),
        ({"firewall-cmd --state": (252, "not running")}, True, "firewalld"),
        ({"nft list ruleset": (0, RULES)}, False, "nftables"),
    ],
)
def test_which_firewall_is_at_work(
    tmp_path: Path, answers: dict[str, tuple[int, str]], record: bool, firewall: str | None
) -> None:
    layout = Layout.of("app", root=tmp_path)
    if record:
        layout.state_dir.mkdir(parents=True)
        layout.firewall_record.write_text("[]")
    host = Host(scratch=tmp_path, run=runs(answers))
    assert look_around(layout, host, wants_ports=True) == Surroundings(firewall, False, record)  # type: ignore[arg-type]
    assert look_around(layout, Host(scratch=tmp_path, run=runs({})), wants_ports=False).has_ports == record


@pytest.mark.parametrize(
    ("forward", "live", "kept", "found"),
    [
        ("1", 0, 0, []),
        ("0", 0, 0, [("changed", "net.ipv4.ip_forward")]),
        ("1", 1, 1, [("missing", "8080/tcp")]),
        ("1", 0, 1, [("changed", "8080/tcp")]),
    ],
)
def test_drift_is_seen_and_mended(
    tmp_path: Path, forward: str, live: int, kept: int, found: list[tuple[str, str]]
) -> None:
    zone = "--zone=public --query-port=8080/tcp"
    answers = {
        "sysctl -n net.ipv4.ip_forward": (0, f"{forward}\n"),
        "firewall-cmd --state": (0, ""),
        "firewall-cmd --get-default-zone": (0, "public\n"),
        f"firewall-cmd {zone}": (live, ""),
        f"firewall-cmd --permanent {zone}": (kept, ""),
    }
    host = Host(scratch=tmp_path, run=runs(answers))
    findings = list(surroundings_findings(WANTS, host))
    assert [(finding.kind, finding.subject) for finding in findings] == found
    plan = plan_mending(site(tmp_path, Surroundings("firewalld", True, True)), WANTS, findings)
    kinds = [] if plan is None else [step.kind for step in plan.steps]
    assert kinds == [finding.part for finding in findings]


def test_a_stopped_firewall_is_no_drift(tmp_path: Path) -> None:
    answers = {"sysctl -n net.ipv4.ip_forward": (0, "1\n"), "firewall-cmd --state": (252, "")}
    assert list(surroundings_findings(WANTS, Host(scratch=tmp_path, run=runs(answers)))) == []
