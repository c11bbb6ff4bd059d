"""Hosts that do not fit, each for a real reason: what preflight finds, and that it changed nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import pytest

from payload.model import Index
from payload.requirements import KNOWN_CHECKS, Requirements
from payload.signing import PrivateKey
from tests.e2e.conftest import Bundles
from tests.e2e.forge import Anatomy
from tests.lab import Host, Lab

PLACES = ("/etc", "/opt", "/usr", "/root", "/var/lib", "/var/log")
NOT_OURS = (
    *("/var/log/journal", "/var/lib/systemd", "/root/report.html"),
    *("/var/lib/dnf/history.sqlite-shm", "/var/lib/dnf/history.sqlite-wal"),
)
_HOLD = """import fcntl, sys, time
file = open(sys.argv[1], "w")
fcntl.lockf(file, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(999)
"""
_LISTEN = """import socket, time
server = socket.create_server(("127.0.0.1", 8080))
print("listens", flush=True)
time.sleep(999)
"""


def demanding(index: Index) -> Index:
    """A bundle of the far future that asks for more than the reference product does."""
    words = {"about": "a", "wanted": "b", "fix": "c"}
    wants = Requirements.model_validate(
        {
            "ports": [8080],
            "virtualization": True,
            "kernel-modules": ["no_such_module"],
            "cpu-flags": ["no_such_flag"],
            "conflicts": ["systemd*"],
            "levels": {"container": "off", "systemd-state": "strict"},
            "check": [
                {"id": "by-program", "command": ["sh", "-c", "echo no license >&2; exit 1"], **words},
                {"id": "by-condition", "condition": "system.cpus > 4096", "strict": False, **words},
            ],
        }
    )
    manifest = index.manifest.model_copy(update={"preflight": wants})
    return replace(index, manifest_table=manifest.to_table(), created=4_000_000_000)


@dataclass
class Examined:
    """A host, and what preflight finds there beside what it finds anyway."""

    host: Host
    usual: frozenset[str] = frozenset()

    def report(self, bundle: str = "x.bin", *words: str) -> dict[str, Any]:
        done = self.host.run(["bash", bundle, "-o", "--preflight", "--json", *words], check=False)
        assert done.returncode in {0, 20}, done.stdout + done.stderr
        report: dict[str, Any] = json.loads(done.stdout)
        assert done.returncode == (0 if report["fits"] else 20)
        return report

    def found(self, bundle: str = "x.bin") -> dict[str, dict[str, Any]]:
        """The findings that are not usual, by their check."""
        findings = self.report(bundle)["findings"]
        return {found["id"]: found for found in findings if found["id"] not in self.usual}


@pytest.fixture(scope="module")
def examined(lab: Lab, bundles: Bundles) -> Iterator[Examined]:
    host = lab.boot("examined", upper_size="1500M")
    host.put(bundles["1.1.0"], "/root/x.bin")
    host.put(bundles.public_key, "/etc/sealift/trusted-keys.d/vendor.pub")
    vendor = PrivateKey.from_pem(bundles.key.read_bytes())
    Anatomy.of(bundles["1.1.0"]).signed_by(vendor, edit=demanding).make(host, "/root/x.bin", "/root/demanding.bin")
    host.sh("systemctl is-system-running --wait || true")
    before = host.tree(PLACES, without=NOT_OURS)
    report = Examined(host).report()
    assert report["fits"], report
    yield Examined(host, frozenset(("systemd-jobs", "time-sync", *(found["id"] for found in report["findings"]))))
    assert host.tree(PLACES, without=NOT_OURS) == before
    lab.drop(host)


@contextmanager
def mounted(host: Host, folder: str, options: str) -> Iterator[None]:
    host.sh(f"mkdir -p {folder}; mount -t tmpfs -o {options} none {folder}")
    try:
        yield
    finally:
        host.sh(f"umount {folder}; rmdir {folder} 2>/dev/null || true")


@contextmanager
def running(host: Host, script: str, *words: str) -> Iterator[None]:
    """A program of somebody else, that has said that it is ready."""
    program = host.popen(["python3", "-I", "-u", "-c", script, *words])
    assert program.stdout is not None and program.stdout.readline()
    try:
        yield
    finally:
        program.kill()


def test_every_check_has_a_result(examined: Examined) -> None:
    report = examined.report()
    seen = {each["id"] for each in (*report["findings"], *report["passed"])}
    assert seen >= {name for name, check in KNOWN_CHECKS.items() if check.level != "off"}


def test_a_port_in_use_names_its_program(examined: Examined) -> None:
    with running(examined.host, _LISTEN):
        found = examined.found()
    assert list(found) == ["port"]
    assert found["port"]["seen"].startswith("python3") and "listens on 8080" in found["port"]["seen"]
    assert "kill " in found["port"]["fix"]


def test_mounts_that_programs_cannot_start_from_or_nobody_can_write_to(examined: Examined) -> None:
    host = examined.host
    with mounted(host, "/opt/sealift", "noexec"), mounted(host, "/var/lib/sealift", "ro"):
        found = examined.found()
    assert {"mount-noexec", "mount-read-only"} <= set(found)
    assert "/opt/sealift" in found["mount-noexec"]["seen"]
    assert "/var/lib/sealift" in found["mount-read-only"]["seen"]


def test_a_disk_too_full_and_one_without_inodes(examined: Examined) -> None:
    with mounted(examined.host, "/opt/sealift", "size=1M,nr_inodes=100"):
        found = examined.found()
    assert set(found) == {"disk-space", "disk-inodes"}
    assert found["disk-space"]["strict"] and "MB" in found["disk-space"]["wanted"]


def test_a_package_database_that_is_broken(examined: Examined) -> None:
    host = examined.host
    folder = host.sh("rpm -E '%{_dbpath}'").strip()
    host.sh(f"cp -a {folder} /var/db-before; for f in {folder}/*; do echo broken >$f; done")
    try:
        found = examined.found()
    finally:
        host.sh(f"rm -rf {folder}; mv /var/db-before {folder}")
    assert found["rpmdb"]["strict"] and found["rpmdb"]["fix"] == "rpm --rebuilddb"


def test_a_package_lock_that_is_held(examined: Examined) -> None:
    host = examined.host
    lock = host.sh("rpm -E '%{_dbpath}'").strip() + "/.rpm.lock"
    with running(host, _HOLD, lock):
        found = examined.found()
    assert set(found) == {"package-lock"} and "holds the package manager's lock" in found["package-lock"]["seen"]


def test_names_that_lead_astray(examined: Examined) -> None:
    host = examined.host
    host.sh("cp -a /etc/hosts /run/hosts; echo '10.9.9.9 localhost' >/etc/hosts; echo 'zzz' >>/etc/hosts")
    try:
        found = examined.found()
    finally:
        host.sh("cat /run/hosts >/etc/hosts; touch -r /run/hosts /etc/hosts")
    assert "10.9.9.9" in found["localhost"]["seen"] and "'zzz' is no address" in found["hosts-file"]["seen"]


def test_what_a_demanding_bundle_asks(examined: Examined) -> None:
    """Its time lies ahead of the clock; the device for virtual machines is a mere file."""
    host = examined.host
    device = "/dev/kvm"
    had = host.exists(device)
    host.sh(f"{f'mv {device} {device}.real; ' if had else ''}touch {device}")
    try:
        found = examined.found("demanding.bin")
    finally:
        host.sh(f"rm {device}; {f'mv {device}.real {device}' if had else ''}")
    assert "when the bundle was made" in found["clock"]["wanted"]
    assert "is no virtualization device" in found["virtualization"]["seen"]
    assert found["kernel-modules"]["fix"] == "modprobe -v no_such_module"
    assert "no_such_flag" in found["cpu-flags"]["seen"]
    assert "systemd" in found["package-conflict"]["seen"]
    assert (found["by-program"]["seen"], found["by-program"]["strict"]) == ("no license", True)
    assert found["by-condition"]["strict"] is False
    assert "container" not in found


def test_a_report_to_send_on(examined: Examined) -> None:
    report = examined.report("demanding.bin", "--report", "/root/report.html")
    page = examined.host.read("/root/report.html")
    assert page.startswith("<!DOCTYPE html>") and "Must be mended" in page
    assert all(f'<th scope="row">{each["id"]}</th>' in page for each in (*report["findings"], *report["passed"]))
