"""What the host says, read: texts of its kernel and programs, and of this very machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from installer.facts.gather import gather
from installer.facts.host import cpu_flags, megabytes
from installer.facts.identity import locale_names
from installer.facts.kernel import virtualization_state
from installer.facts.model import Listener, Wanted, facts_from_json
from installer.facts.names import hosts_faults, listening, look_at_network, name_servers, open_ports
from installer.facts.packages import duplicates, held_by, look_at_packages
from installer.facts.reading import answer, fault
from installer.facts.storage import file_system
from installer.steps import Host
from payload import effects


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(scratch=tmp_path)


def test_proc() -> None:
    head = "  sl  local_address rem_address   st\n"
    tail = "00000000:00000000 00:00000000 00000000     0        0"
    table = (
        f"{head}   0: 0100007F:1F90 00000000:0000 0A {tail} 4242 1\n   1: 0100007F:0016 0100007F:9999 01 {tail} 7 1\n"
    )
    six = f"{head}   0: 00000000000000000000000000000000:0016 0:0 0A {tail} 99 1\n"
    assert listening(table, six) == {8080: {"4242"}, 22: {"99"}}
    assert megabytes("MemTotal:        2048 kB\nMemFree: 1 kB\n", "MemTotal") == 2
    assert megabytes("", "SwapTotal") == 0
    assert cpu_flags("processor: 0\nflags\t\t: sse avx2\n\nflags\t\t: other\n") == ("avx2", "sse")
    assert locale_names("C\nen_US.utf8\nde_DE.ISO-8859-1\n") == {"C", "en_US.utf8", "de_DE.iso88591"}


def test_etc_hosts() -> None:
    good = "127.0.0.1 localhost a\n::1 localhost a # note\n\nfe80::1%eth0 link\n10.0.0.1 b B\n127.0.1.1 localhost\n"
    assert hosts_faults(good) == ()
    assert hosts_faults("10.0.0.1 a\n10.0.0.2 b A\nx y\n10.0.0.3\n") == (
        "line 2: A is 10.0.0.1 already",
        "line 3: 'x' is no address",
        "line 4: 10.0.0.3 has no name",
    )


NFT = """table inet filter {
  chain input {
    type filter hook input priority 0; policy drop;
    tcp dport { 22, 8000-8002 } accept
    tcp dport 9 drop
    tcp dport 443 ct state new accept
  }
}"""


def test_firewalls() -> None:
    assert open_ports(NFT) == {22, 443, 8000, 8001, 8002}
    assert open_ports(NFT.replace("policy drop", "policy accept")) is None
    rules = "-P INPUT DROP\n-A INPUT -p tcp -m tcp --dport 22 -j ACCEPT\n-A INPUT -p tcp -m multiport --dports 80,90:91"
    assert open_ports(f"{rules} -j ACCEPT\n") == {22, 80, 90, 91}
    assert open_ports("-P INPUT ACCEPT\n") is None


def test_packages_twice() -> None:
    installed = ("a.x86_64", "a.i686", "kernel.x86_64", "kernel.x86_64", "gpg-pubkey.(none)", "gpg-pubkey.(none)")
    assert duplicates(installed) == ()
    assert duplicates((*installed, "a.i686")) == ("a.i686",)


def test_a_package_manager_without_a_temporary_folder(
    host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dnf").write_text("#!/bin/sh\n")
    (tmp_path / "dnf").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    fault = look_at_packages(host, ()).tool_fault
    assert fault == "it has no temporary folder (No such file or directory)"


def test_the_holder_of_a_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    hold = (
        "import fcntl, sys; f = open(sys.argv[1], 'w'); fcntl.lockf(f, fcntl.LOCK_EX); print('held'); sys.stdin.read()"
    )
    assert held_by(path) is None
    with subprocess.Popen(
        [sys.executable, "-Iuc", hold, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        assert held_by(path) == str(holder.pid)
    assert held_by(path) is None


def test_a_device_for_virtual_machines_that_is_none(tmp_path: Path) -> None:
    fake = tmp_path / "device"
    assert virtualization_state(fake) == f"there is no {fake}"
    fake.write_text("")
    assert "is no virtualization device" in virtualization_state(fake)
    assert "is no virtualization device" in virtualization_state(Path("/dev/null"))


def test_programs(host: Host) -> None:
    assert answer(host, "echo", "hello") == "hello"
    assert answer(host, "false") is answer(host, "no-such-program") is answer(host, "sleep", "9", timeout=0.1) is None
    assert fault(host, "true") is None
    assert fault(host, "sh", "-c", "echo bad >&2; exit 3") == "bad"
    assert fault(host, "false") == "false exited with 1"
    assert "no-such-program" in (fault(host, "no-such-program") or "")


def test_names_are_looked_up_without_a_name_server(host: Host) -> None:
    asked: list[tuple[str, ...]] = []

    def watched(argv: tuple[str, ...], **options: Any) -> effects.Completed:
        asked.append(argv)
        return effects.run(argv, **options)

    network = look_at_network(Host(scratch=host.scratch, run=watched), ())
    assert "127.0.0.1" in network.localhost_addresses
    looked_up = [argv for argv in asked if argv[0] == "getent"]
    assert len(looked_up) == 3 and all(argv[1:3] == ("-s", "hosts:files myhostname") for argv in looked_up)
    assert "hostname" not in {argv[0] for argv in asked}  # its -f asks name servers


def test_name_servers() -> None:
    text = "search example.com\n# nameserver 1.1.1.1\nnameserver 10.0.0.1\nnameserver\nnameserver fe80::1%lo x\n"
    assert name_servers(text) == ("10.0.0.1", "fe80::1%lo")


def test_a_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    assert file_system(tmp_path / "a/b").free == pytest.approx(file_system(tmp_path).free, rel=0.01)


def test_this_very_machine(host: Host, tmp_path: Path) -> None:
    os.umask(mask := os.umask(0))
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        wanted = Wanted(
            paths=(tmp_path,),
            users=("root", "no-such-user"),
            tools=("getent", "no-such-tool"),
            settings=("kernel.pid_max", "net.ipv4.conf.lo.forwarding", "no.such/setting", "kernel.no-such"),
            programs={"x": ("false",)},
        )
        facts = gather(host, Path("/"), wanted)
    assert Listener(port, os.getpid(), Path("/proc/self/comm").read_text().strip()) in facts.network.listeners
    assert facts.identity.homes == {"root": "/root"} and facts.system.tools == ("getent",)
    assert facts.refusals == {"x": "false exited with 1"}
    assert facts.system.memory_mb > 0 and facts.kernel.open_files > 0 and facts.kernel.bad_devices == ()
    assert facts.identity.umask == mask
    assert facts.kernel.unknown_settings == ("no.such/setting", "kernel.no-such")
    assert facts_from_json(facts.to_json()) == facts
