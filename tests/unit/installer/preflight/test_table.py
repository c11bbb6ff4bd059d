from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from installer.facts.accounts import Account
from installer.facts.model import Listener, facts_from_json
from installer.preflight import FINDERS, Result, Subject, Taken, examine, findings_of
from payload.requirements import KNOWN_CHECKS, Requirements
from repos.preview import Preview
from tests.unit.installer.preflight.fitting import FACTS, MB, OFFER, PATHS, SUBJECT, changed, file_system, wanting


def ids(subject: Subject) -> list[str]:
    return [finding.id for finding in findings_of(examine(subject))]


def test_every_known_check_is_made_and_no_other() -> None:
    assert list(FINDERS) == list(KNOWN_CHECKS)
    assert len(KNOWN_CHECKS) >= 40


def test_a_fitting_host_passes_every_check() -> None:
    results = examine(SUBJECT)
    assert [result.id for result in results] == list(KNOWN_CHECKS)
    assert all(result.passed for result in results)


MISFITS: Mapping[str, tuple[str | None, Mapping[str, Any]]] = {
    "root": ("identity", {"uid": 1000}),
    "os": ("system", {"os_id": "other", "os_like": ()}),
    "arch": ("system", {"arch": "riscv64"}),
    "libc": ("system", {"libc": "2.16"}),
    "kernel": ("system", {"kernel": "5.4.17-1.el9"}),
    "kernel-modules": ("kernel", {"modules": ()}),
    "kernel-settings": ("kernel", {"unknown_settings": ("net.bridge.bridge-nf-call-iptables",)}),
    "container": ("system", {"container": "docker"}),
    "cpus": ("system", {"cpus": 3}),
    "cpu-flags": ("system", {"cpu_flags": ("avx",)}),
    "memory": ("system", {"memory_mb": 2047}),
    "swap": ("system", {"swap_mb": 511}),
    "python": ("system", {"python": None}),
    "python-venv": ("system", {"python_venv": False}),
    "disk-inodes": (None, {"file_systems": (file_system(PATHS[0], free_inodes=4999),)}),
    "mount-read-only": (None, {"file_systems": (file_system(PATHS[1], writable=False),)}),
    "mount-noexec": (None, {"file_systems": (file_system(PATHS[0], executable=False),)}),
    "mount-nosuid": (None, {"file_systems": (file_system(PATHS[2], set_uid=False),)}),
    "temp-folder": (None, {"odd_temp_folders": ("/tmp",)}),
    "port": ("network", {"listeners": (Listener(8080, 77, "java"),)}),
    "hostname": ("network", {"hostname": "localhost.localdomain"}),
    "hostname-resolves": ("network", {"hostname_addresses": ()}),
    "fqdn": ("network", {"fqdn": "node1"}),
    "localhost": ("network", {"localhost_addresses": ("127.0.0.1", "10.0.0.9")}),
    "ipv6-loopback": ("network", {"ipv6_loopback": False}),
    "hosts-file": ("network", {"hosts_faults": ("line 3: 'x' is no address",)}),
    "name-server-routes": ("network", {"unreachable_servers": ("203.0.113.1",)}),
    "name-servers": ("network", {"name_servers": ("10.0.0.1", "10.0.0.2", "10.0.0.3", "10.0.0.4")}),
    "clock": ("clock", {"now": 10, "rtc": None}),
    "clock-future": ("clock", {"now": 400_000_000, "rtc": None}),
    "clock-rtc": ("clock", {"rtc": 1_800_000}),
    "time-sync": ("clock", {"synchronized": False}),
    "timezone": ("clock", {"timezone": None}),
    "user-taken": ("identity", {"users": {"app": Account(1000, "/home/app", "/bin/bash")}}),
    "group-taken": ("identity", {"groups": ("app",)}),
    "tool": ("system", {"tools": ("getent", "ip", "rpm", "systemctl", "useradd")}),
    "package-tool": ("packages", {"tool": None}),
    "rpmdb": ("packages", {"rpmdb_fault": "error: rpmdb damaged"}),
    "rpmdb-duplicates": ("packages", {"duplicates": ("sqlite.x86_64",)}),
    "package-lock": ("packages", {"lock_holder": "77"}),
    "package-pending": ("packages", {"pending": ("/system-update",)}),
    "package-conflict": ("packages", {"conflicts": ("podman-docker",)}),
    "package-excludes": ("packages", {"excludes": "/etc/dnf/dnf.conf: exclude=sqlite*"}),
    "systemd": ("services", {"systemd": False}),
    "systemd-state": ("services", {"failed": ("httpd.service",)}),
    "systemd-jobs": ("services", {"jobs": 2}),
    "cgroups": ("kernel", {"cgroups": None}),
    "selinux": ("services", {"selinux": "disabled"}),
    "fapolicyd": ("services", {"fapolicyd": True}),
    "firewall": ("network", {"firewall": "firewalld", "closed_ports": (8080,)}),
    "sshd": ("services", {"sshd": False}),
    "virtualization": ("kernel", {"virtualization": "there is no device"}),
    "virtualization-nested": ("system", {"machine": "kvm"}),
    "entropy": ("kernel", {"entropy": 12}),
    "device-files": ("kernel", {"bad_devices": ("/dev/null",)}),
    "ptys": ("kernel", {"ptys": False}),
    "limit-files": ("kernel", {"open_files": 256}),
    "limit-processes": ("kernel", {"processes": 100}),
    "pid-max": ("kernel", {"pid_max": 4096}),
    "inotify": ("kernel", {"inotify_instances": 8}),
    "umask": ("identity", {"umask": 0o077}),
    "locale": ("identity", {"locale_known": False}),
    "root-home": ("identity", {"root_home_fault": "/root is no folder"}),
    "path": ("identity", {"bad_paths": ("",)}),
    "preload": ("kernel", {"missing_preloads": ("/lib/gone.so",)}),
    "proxy": ("identity", {"proxy": "http://10.0.0.1:3128"}),
}


@pytest.mark.parametrize("name", MISFITS)
def test_each_misfit_is_found_alone_and_says_what_to_do(name: str) -> None:
    group, changes = MISFITS[name]
    (finding,) = findings_of(examine(changed(group, **changes)))
    assert finding.id == name
    assert finding.seen and finding.wanted and finding.fix
    assert finding.strict == (KNOWN_CHECKS[name].level == "strict")


def test_every_check_has_a_misfit_here_or_a_test_of_its_own() -> None:
    own = {"disk-space", "python-wheels", "prefix-taken", "unit-taken", "command-taken"}
    assert set(MISFITS) | own == set(KNOWN_CHECKS)


@pytest.mark.parametrize("name", ["command", "unit", "release"])
def test_what_is_somebody_elses(name: str) -> None:
    found = ids(replace(SUBJECT, taken=Taken(**{f"{name}s": ("/some/path",)})))
    assert found == ["prefix-taken" if name == "release" else f"{name}-taken"]


@pytest.mark.parametrize(
    ("group", "changes"),
    [
        ("system", {"python": "3.13.0"}),
        ("system", {"libc": None}),
        ("network", {"hostname": "bad_name"}),
        ("network", {"hostname": "-x.example"}),
        ("network", {"localhost_addresses": ()}),
        ("packages", {"tool_fault": "ModuleNotFoundError: dnf"}),
        ("identity", {"users": {"app": Account(0, "/", "/bin/sh")}}),
        ("identity", {"umask": 0o002}),
        ("identity", {"proxy": "http://p", "no_proxy": "example.com"}),
    ],
)
def test_other_ways_not_to_fit(group: str, changes: dict[str, Any]) -> None:
    assert ids(changed(group, **changes))


@pytest.mark.parametrize(
    ("group", "changes"),
    [
        ("identity", {"users": {"app": Account(990, "/var/lib/app", "/sbin/nologin")}, "groups": ("app",)}),
        ("identity", {"proxy": "http://p", "no_proxy": "localhost,127.0.0.1"}),
        ("clock", {"synchronized": None, "rtc": None}),
        ("kernel", {"entropy": None, "pid_max": None, "inotify_instances": None}),
        ("network", {"localhost_addresses": ("127.0.0.1",), "ipv6_loopback": False}),
    ],
)
def test_what_fits_as_well(group: str, changes: dict[str, Any]) -> None:
    assert ids(changed(group, **changes)) == []


def test_strict_findings_come_first() -> None:
    subject = changed(
        "network", subject=changed("identity", uid=5), unreachable_servers=("203.0.113.1",), localhost_addresses=()
    )
    assert ids(subject) == ["root", "localhost", "name-server-routes"]


def test_who_has_the_port_is_named_without_secrets() -> None:
    (found,) = findings_of(examine(changed("network", listeners=(Listener(8080, 77, "java"),))))
    assert found.seen == "java (process 77) listens on 8080" and "kill 77" in found.fix
    (found,) = findings_of(examine(changed("network", listeners=(Listener(8080),))))
    assert found.seen == "something listens on 8080" and "kill" not in found.fix
    (found,) = findings_of(examine(changed("identity", proxy="http://me:secret@10.0.0.1:3128")))
    assert found.seen == "a proxy is set: http://10.0.0.1:3128"


def test_levels_are_the_manifests() -> None:
    misfit = changed("network", localhost_addresses=(), unreachable_servers=("203.0.113.1",))
    other = wanting(misfit, levels={"localhost": "off", "name-server-routes": "strict"})
    assert [(found.id, found.strict) for found in findings_of(examine(other))] == [("name-server-routes", True)]
    assert "fqdn" not in {result.id for result in examine(other)}
    with pytest.raises(ValidationError, match="there is no check localhots"):
        Requirements(levels={"localhots": "off"})


def test_wishes_are_the_manifests() -> None:
    assert ids(wanting(open_files=10**7, pid_max=10**8, inodes=10**7)) == ["disk-inodes", "limit-files", "pid-max"]


def test_disk_is_summed_by_file_system() -> None:
    preview = Preview(download_size=6 * MB, installed_size=30 * MB)
    some = replace(SUBJECT, preview=preview)
    every = replace(some, offer=replace(OFFER, serve="0.0.0.0:8079"))
    silent = replace(some, preview=replace(preview, installed_size=None))
    # Content without packages 80, runtime 50, environment 4 x 10, wheels unpacked by pip 10, slack 32. Packages: 6 for
    # the package manager's copies; 6 that stay, or all 20; installed 30, or 4 x 6 where the package manager is silent.
    for subject, need in ((some, 254), (every, 268), (silent, 248), (replace(some, dump_size=7 * MB), 261)):
        for free, wanted in ((need - 1, ["disk-space"]), (need, [])):
            systems = tuple(file_system(path, free=free * MB) for path in PATHS)
            assert ids(changed(subject=subject, file_systems=systems)) == wanted
    # on two devices, 192 + 32 and 30 + 32 are enough
    systems = tuple(file_system(path, device=n == 2, free=(62 if n == 2 else 239) * MB) for n, path in enumerate(PATHS))
    assert ids(changed(subject=some, file_systems=systems)) == []


def test_upgrade_may_hold_its_own_ports() -> None:
    assert ids(replace(changed("network", listeners=(Listener(8080),)), mode="upgrade")) == []


def test_without_packages_the_package_manager_does_not_matter() -> None:
    broken = changed("packages", tool=None, rpmdb_fault="broken", lock_holder="7", excludes="all")
    assert ids(replace(broken, packages_to_install=False)) == []


def check(**fields: Any) -> dict[str, Any]:
    return {"id": "license", "about": "a license", "wanted": "one", "fix": "buy one"} | fields


def product(subject: Subject, **fields: Any) -> Result:
    return examine(wanting(subject, check=[check(**fields)]))[-1]


def test_conditions_of_the_product() -> None:
    assert product(SUBJECT, condition="system.memory_mb >= 4096 and 'avx2' in system.cpu_flags").passed
    refused = product(SUBJECT, condition="system.cpus >= 64", strict=False)
    (found,) = refused.findings
    assert (found.id, found.seen, found.strict) == ("license", "not so: system.cpus >= 64", False)


@pytest.mark.parametrize("condition", ["system.cpu >= 1", "nothing", "system.cpus > 'x'", "system.cpus >=", "1 // 0"])
def test_a_condition_that_says_nothing_is_a_finding(condition: str) -> None:
    (found,) = product(SUBJECT, condition=condition).findings
    assert "cannot be decided" in found.seen and found.strict


def test_programs_of_the_product() -> None:
    words = {"command": ["true"]}
    assert product(SUBJECT, **words).passed
    (found,) = product(changed(refusals={"license": "license expired"}), **words).findings
    assert found.seen == "license expired"


@pytest.mark.parametrize("fields", [{}, {"command": ["x"], "condition": "1"}, {"id": "port", "condition": "1"}])
def test_a_check_of_the_product_looks_in_one_way_under_a_name_of_its_own(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Requirements.model_validate({"check": [check(**fields)]})


def test_facts_survive_a_file() -> None:
    assert facts_from_json(FACTS.to_json()) == FACTS


COMPILED = ("greenlet-3.2.4-cp311-cp311-manylinux2014_x86_64.manylinux_2_17_x86_64.whl", *OFFER.wheels)


@pytest.mark.parametrize(
    ("wheels", "python", "fits"),
    [
        (OFFER.wheels, "3.9.2", True),
        (OFFER.wheels, "3.12.1", True),
        (COMPILED, "3.11.9", True),
        (COMPILED, "3.12.1", False),
        (COMPILED, "3.10.4", False),
        (("stable-1-cp311-abi3-manylinux_2_17_x86_64.whl",), "3.10.4", False),
        (("binary-1-py3-none-manylinux_2_17_x86_64.whl",), "3.12.1", True),
        (("newer-1-py312-none-any.whl",), "3.11.1", False),
        (COMPILED, None, True),  # that there is no python3 is another check's finding
    ],
)
def test_wheels_for_another_python_are_refused(wheels: tuple[str, ...], python: str | None, fits: bool) -> None:
    subject = replace(changed("system", python=python), offer=replace(OFFER, wheels=wheels))
    found = [finding for finding in findings_of(examine(subject)) if finding.id == "python-wheels"]
    assert not found if fits else wheels[0] in found[0].wanted and found[0].strict


@pytest.mark.parametrize(
    ("wheel", "libc", "fits"),
    [
        ("x-1-cp311-cp311-manylinux_2_28_x86_64.whl", "2.34", True),
        ("x-1-cp311-cp311-manylinux_2_28_x86_64.whl", "2.17", False),
        ("x-1-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.manylinux_2_28_x86_64.whl", "2.17", True),
        ("x-1-cp311-cp311-manylinux2014_x86_64.whl", "2.12", False),
        ("x-1-py3-none-any.whl", "2.5", True),
    ],
)
def test_wheels_for_a_newer_libc_are_refused(wheel: str, libc: str, fits: bool) -> None:
    subject = replace(changed("system", libc=libc), offer=replace(OFFER, wheels=(wheel,)))
    assert ("libc" not in ids(subject)) == fits
