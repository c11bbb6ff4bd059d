"""A host that fits, and the product that it fits: tests change one thing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from installer.facts.accounts import Account
from installer.facts.model import (
    Clock,
    Facts,
    FileSystem,
    Identity,
    Kernel,
    Listener,
    Network,
    Packages,
    Services,
    System,
)
from installer.layout import Layout
from installer.offer import Offer
from installer.preflight import Subject
from installer.preflight.disk import TEMP_FOLDER
from installer.steps.units import Unit
from payload.manifest import Manifest

MB = 1 << 20
LAYOUT = Layout.of("app")
PATHS = (LAYOUT.prefix, LAYOUT.images_dir, Path("/usr"), LAYOUT.state_dir, Path("/") / TEMP_FOLDER)


def file_system(path: Path, **changes: object) -> FileSystem:
    good = FileSystem(
        str(path), device=1, free=10_000 * MB, free_inodes=10**6, writable=True, executable=True, set_uid=True
    )
    return replace(good, **changes)  # type: ignore[arg-type]


FACTS = Facts(
    system=System(
        os_id="lab",
        os_like=("fedora",),
        os_name="Lab 1",
        arch="x86_64",
        libc="2.34",
        kernel="5.14.0-427.el9.x86_64",
        container=None,
        machine=None,
        cpus=4,
        cpu_flags=("avx", "avx2", "sse4_2"),
        memory_mb=4096,
        swap_mb=512,
        python="3.11.2",
        python_venv=True,
        tools=("getent", "ip", "rpm", "systemctl", "useradd", "userdel"),
    ),
    kernel=Kernel(
        cgroups="v2",
        entropy=256,
        pid_max=4_194_304,
        inotify_instances=128,
        modules=("tun",),
        unknown_settings=(),
        virtualization="ok",
        bad_devices=(),
        ptys=True,
        open_files=524_288,
        processes=15_000,
        missing_preloads=(),
    ),
    network=Network(
        listeners=(Listener(22, 1, "sshd"),),
        hostname="node1",
        hostname_addresses=("10.0.0.1",),
        fqdn="node1.example.com",
        localhost_addresses=("::1", "127.0.0.1"),
        ipv6_loopback=True,
        hosts_faults=(),
        name_servers=(),
        unreachable_servers=(),
        firewall=None,
        closed_ports=(),
    ),
    clock=Clock(now=2_000_000, rtc=2_000_001, synchronized=True, timezone="/usr/share/zoneinfo/UTC"),
    packages=Packages(
        tool="dnf",
        tool_fault=None,
        rpmdb_fault=None,
        duplicates=(),
        conflicts=(),
        lock_holder=None,
        pending=(),
        excludes=None,
    ),
    services=Services(systemd=True, failed=(), jobs=0, sshd=True, selinux="enforcing", fapolicyd=False),
    identity=Identity(
        uid=0,
        umask=0o022,
        users={"root": Account(0, "/root", "/bin/bash")},
        groups=(),
        root_home_fault=None,
        bad_paths=(),
        locale="en_US.UTF-8",
        locale_known=True,
        proxy=None,
        no_proxy="",
    ),
    file_systems=tuple(file_system(path) for path in PATHS),
    odd_temp_folders=(),
    refusals={},
)
MANIFEST = Manifest.model_validate(
    {
        "product": {"name": "app", "version": "1", "title": "App"},
        "targets": [{"os": ["fedora"], "python": ">=3.9,<3.13"}],
        "repository": {"packages": ["sqlite"]},
        "server": {"requirements": ["app"]},
        "ssh_keys": [{"path": "key", "authorize": "root"}],
        "preflight": {
            "memory_mb": 2048,
            "swap_mb": 512,
            "cpus": 4,
            "cpu_flags": ["avx2"],
            "kernel": "5.14",
            "kernel_modules": ["tun"],
            "virtualization": True,
            "ports": [8080],
            "tools": ["ip"],
            "conflicts": ["podman*"],
            "selinux": ["enforcing"],
            "levels": {"fqdn": "advisory"},
        },
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
    completion="",
    wheels=("pure-1-py3-none-any.whl", "old-1-py2.py3-none-any.whl", "stable-1-cp39-abi3-manylinux_2_17_x86_64.whl"),
    content_size=100 * MB,
    runtime_size=50 * MB,
    wheels_size=10 * MB,
    packages_size=20 * MB,
    image_size=15 * MB,
)
SUBJECT = Subject(mode="install", facts=FACTS, layout=LAYOUT, offer=OFFER, created=1_000_000, state=None)


def changed(group: str | None = None, /, subject: Subject = SUBJECT, **changes: Any) -> Subject:
    """`subject` with other facts, in one group of them or beside the groups."""
    facts = subject.facts
    new = replace(facts, **({group: replace(getattr(facts, group), **changes)} if group else changes))
    return replace(subject, facts=new)


def wanting(subject: Subject = SUBJECT, **changes: Any) -> Subject:
    """`subject` with another manifest's [preflight]."""
    manifest = subject.offer.manifest
    wants = type(manifest.preflight).model_validate(manifest.preflight.model_dump(by_alias=False) | changes)
    return replace(subject, offer=replace(subject.offer, manifest=manifest.model_copy(update={"preflight": wants})))
