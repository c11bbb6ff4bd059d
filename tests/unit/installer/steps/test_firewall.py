"""Ports in firewalld, which is played here; tests/e2e/test_firewall.py has the real one."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from installer.steps import Host, OpenPorts, dump_undo, load_undo
from payload import effects
from payload.errors import CommandError

HTTP, DNS, OWN = "8080/tcp", "53/udp", "22/tcp"


@dataclass
class Firewalld:
    """Two sets of ports: those open now, and those that are open after a restart."""

    running: bool = True
    live: set[str] = field(default_factory=lambda: {OWN})
    kept: set[str] = field(default_factory=lambda: {OWN})
    fails_at: str = ""

    def __call__(self, argv: tuple[str, ...], *, check: bool = True, **_options: Any) -> effects.Completed:
        program, *words = argv
        code, output = 0, ""
        ports = self.kept if "--permanent" in words or program == "firewall-offline-cmd" else self.live
        last = words[-1]
        option, _, port = last.partition("=")
        if program == "firewall-cmd" and not self.running:
            code = 252
        elif option == "--get-default-zone":
            output = "public\n"
        elif option == "--query-port":
            assert "--zone=public" in words
            code = 0 if port in ports else 1
        elif option in {"--add-port", "--remove-port"}:
            if port == self.fails_at:
                raise CommandError(argv, 1, "made to fail")
            ports ^= {port}
            assert (port in ports) == (option == "--add-port")
        if check and code:
            raise CommandError(argv, code, "")
        return effects.Completed(argv, code, output, "")


@pytest.fixture
def played() -> Firewalld:
    return Firewalld()


@pytest.fixture
def host(tmp_path: Path, played: Firewalld) -> Host:
    return Host(scratch=tmp_path / "scratch", run=played)


def opening(tmp_path: Path, *ports: str) -> OpenPorts:
    return OpenPorts(record=tmp_path / "record.json", ports=ports, firewall="firewalld", reason="a test")


def applied(step: OpenPorts, host: Host) -> Any:
    undo = step.prepare(host)
    step.apply(host, undo)
    return load_undo(step, dump_undo(step, undo))


def test_ports_come_and_go_and_those_of_others_stay(tmp_path: Path, host: Host, played: Firewalld) -> None:
    played.live |= {DNS}  # open until the next reload only
    step = opening(tmp_path, HTTP, DNS, OWN)
    undo = applied(step, host)
    assert played.live == played.kept == {OWN, HTTP, DNS}
    for _ in range(2):
        step.undo(undo, host)
        assert (played.live, played.kept) == ({OWN, DNS}, {OWN})
        assert not step.record.exists()
    applied(step, host)
    applied(opening(tmp_path, OWN, HTTP), host)
    assert played.live == played.kept == {OWN, HTTP}
    applied(opening(tmp_path), host)
    assert played.live == played.kept == {OWN}
    assert not step.record.exists()


def test_a_failure_half_way_is_undone(tmp_path: Path, host: Host, played: Firewalld) -> None:
    step = opening(tmp_path, HTTP, DNS)
    undo = step.prepare(host)
    played.fails_at = DNS
    with pytest.raises(CommandError):
        step.apply(host, undo)
    assert HTTP in played.kept
    step.undo(undo, host)
    assert played.live == played.kept == {OWN}


def test_what_is_kept_is_changed_where_firewalld_was_stopped(tmp_path: Path, host: Host, played: Firewalld) -> None:
    applied(opening(tmp_path, HTTP), host)
    played.running, played.live = False, set()
    removal = opening(tmp_path)
    undo = applied(removal, host)
    assert (played.live, played.kept) == (set(), {OWN})
    removal.undo(undo, host)
    assert (played.live, played.kept) == (set(), {OWN, HTTP})


@pytest.mark.parametrize(
    ("firewall", "said"), [(None, "no firewall is active"), ("nftables", "left to whoever keeps the rules of nftables")]
)
def test_where_nothing_is_done_the_plan_says_so(
    tmp_path: Path, host: Host, played: Firewalld, firewall: Any, said: str
) -> None:
    step = OpenPorts(record=tmp_path / "record.json", ports=(HTTP,), firewall=firewall, reason="a test")
    assert said in step.describe() and HTTP in step.describe()
    assert step.undone() == ""
    undo = applied(step, host)
    step.undo(undo, host)
    assert played.live == played.kept == {OWN}
