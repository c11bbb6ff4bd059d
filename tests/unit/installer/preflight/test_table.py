from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from installer.facts import Facts, FileSystem, facts_from_json, listening, memory_mb
from installer.layout import Layout
from installer.offer import Offer
from installer.preflight import CHECKS, Subject, examine
from installer.steps.units import Unit
from payload.manifest import Manifest
from repos.preview import Preview

LAYOUT = Layout.of("app")
PATHS = (LAYOUT.prefix, LAYOUT.images_dir, Path("/usr"), LAYOUT.state_dir)

MB = 1 << 20


def system(path: Path, **changes: object) -> FileSystem:
    good = FileSystem(str(path), device=1, free=10_000 * MB, free_inodes=10**6, writable=True, executable=True)
    return replace(good, **changes)  # type: ignore[arg-type]


FACTS = Facts(
    uid=0,
    os_id="lab",
    os_like=("fedora",),
    os_name="Lab 1",
    arch="x86_64",
    python="3.11.2",
    python_venv=True,
    memory_mb=4096,
    now=2_000_000,
    localhost_resolves=True,
    systemd=True,
    package_tool="dnf",
    rpmdb="ok",
    package_lock_holder=None,
    ports=(22,),
    file_systems=tuple(system(path) for path in PATHS),
    homes={},
    tools=("useradd", "userdel", "getent", "systemctl", "journalctl", "rpm"),
)
MANIFEST = Manifest.model_validate(
    {
        "product": {"name": "app", "version": "1", "title": "App"},
        "targets": [{"os": ["fedora"], "python": ">=3.9,<3.13"}],
        "server": {"requirements": ["app"]},
        "preflight": {"memory_mb": 2048, "ports": [8080]},
    }
)
OFFER = Offer(
    manifest=MANIFEST,
    bundle="sha256:" + "0" * 64,
    release=LAYOUT.release("1"),
    units=(Unit("app.service", "[Install]\n"),),
    config=(),
    migrate=None,
    setup=(),
    health_url=None,
    images=(),
    pip="tools/pip.whl",
    ctl="",
    wheels=("pure-1-py3-none-any.whl", "old-1-py2.py3-none-any.whl", "stable-1-cp39-abi3-manylinux_2_17_x86_64.whl"),
    content_size=100 * MB,
    runtime_size=50 * MB,
    wheels_size=10 * MB,
    packages_size=20 * MB,
    image_size=15 * MB,
)
SUBJECT = Subject(mode="install", facts=FACTS, layout=LAYOUT, offer=OFFER, created=1_000_000, state=None)


def ids(subject: Subject) -> list[str]:
    return [finding.id for finding in examine(subject)]


def test_fitting_host_has_no_finding() -> None:
    assert examine(SUBJECT) == ()


@pytest.mark.parametrize(
    ("changes", "wanted"),
    [
        ({"uid": 1000}, ["root"]),
        ({"os_id": "other", "os_like": ()}, ["os"]),
        ({"arch": "riscv64"}, ["arch"]),
        ({"python": None}, ["python"]),
        ({"python": "3.13.0"}, ["python"]),
        ({"python_venv": False}, ["python-venv"]),
        ({"memory_mb": 2047}, ["memory"]),
        ({"ports": (22, 8080)}, ["port"]),
        ({"systemd": False}, ["systemd"]),
        ({"package_tool": None}, ["package-tool"]),
        ({"rpmdb": "damaged"}, ["rpmdb"]),
        ({"package_lock_holder": "77"}, ["package-lock"]),
        ({"now": 10}, ["clock"]),
        ({"localhost_resolves": False}, ["localhost"]),
        ({"tools": ("useradd", "userdel", "getent", "systemctl")}, ["tool"]),
    ],
)
def test_each_misfit_is_found_alone(changes: dict[str, object], wanted: list[str]) -> None:
    assert ids(replace(SUBJECT, facts=replace(FACTS, **changes))) == wanted  # type: ignore[arg-type]


def test_all_misfits_at_once_each_with_a_fix() -> None:
    facts = replace(FACTS, uid=5, python=None, memory_mb=1, ports=(8080,), systemd=False, localhost_resolves=False)
    findings = examine(replace(SUBJECT, facts=facts))
    assert [finding.id for finding in findings] == ["root", "python", "memory", "port", "systemd", "localhost"]
    assert all(finding.seen and finding.wanted and finding.fix for finding in findings)


def test_disk_is_summed_by_file_system() -> None:
    preview = Preview(download_size=6 * MB, installed_size=30 * MB)
    some = replace(SUBJECT, preview=preview)
    every = replace(some, offer=replace(OFFER, serve="0.0.0.0:8079"))
    silent = replace(some, preview=replace(preview, installed_size=None))
    # Content without packages 80, runtime 50, environment 4 x 10, slack 32. Packages: 6 for the package manager's
    # copies; 6 that stay, or all 20; installed 30, or 4 x 6 where the package manager does not say.
    for subject, need in ((some, 244), (every, 258), (silent, 238)):
        for free, wanted in ((need - 1, ["disk-space"]), (need, [])):
            systems = tuple(system(path, free=free * MB) for path in PATHS)
            assert ids(replace(subject, facts=replace(FACTS, file_systems=systems))) == wanted
    # on two devices, 182 + 32 and 30 + 32 are enough
    systems = tuple(system(path, device=n == 2, free=(62 if n == 2 else 229) * MB) for n, path in enumerate(PATHS))
    assert ids(replace(some, facts=replace(FACTS, file_systems=systems))) == []


def test_mounts() -> None:
    systems = (system(PATHS[0], executable=False), *(system(path, writable=False) for path in PATHS[1:2]))
    assert ids(replace(SUBJECT, facts=replace(FACTS, file_systems=systems))) == ["mount-read-only", "mount-noexec"]


def test_upgrade_may_hold_its_own_ports() -> None:
    assert ids(replace(SUBJECT, mode="upgrade", facts=replace(FACTS, ports=(8080,)))) == []


def test_somebody_elses_command() -> None:
    assert ids(replace(SUBJECT, foreign_commands=("/usr/local/bin/app",))) == ["command-taken"]


def test_ids_of_checks_are_unique() -> None:
    assert len({check.id for check in CHECKS}) == len(CHECKS)


def test_facts_survive_a_file() -> None:
    assert facts_from_json(FACTS.to_json()) == FACTS


def test_reading_proc() -> None:
    head = "  sl  local_address rem_address   st\n"
    table = head + "   0: 0100007F:1F90 00000000:0000 0A x\n   1: 0100007F:0016 0100007F:9999 01 x\n"
    assert listening(table, head + "   0: 00000000000000000000000000000000:0016 0:0 0A x\n") == (22, 8080)
    assert memory_mb("MemTotal:        2048 kB\nMemFree: 1 kB\n") == 2


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
    subject = replace(SUBJECT, offer=replace(OFFER, wheels=wheels), facts=replace(FACTS, python=python))
    found = [finding for finding in examine(subject) if finding.id == "python-wheels"]
    assert not found if fits else wheels[0] in found[0].wanted and found[0].strict
