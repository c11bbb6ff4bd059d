"""Which system this is, and what it runs on."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable
from pathlib import Path

from installer.facts.model import System
from installer.facts.reading import answer, text
from installer.steps import Host
from payload.effects import child_environment

_VERSION = "import sys; print('.'.join(map(str, sys.version_info[:3])))"


def look_at_system(host: Host, tools: Iterable[str]) -> System:
    """Look at the system; changes nothing."""
    release = os_release(Path("/etc/os-release"))
    meminfo = text(Path("/proc/meminfo"))
    return System(
        os_id=release.get("ID", "unknown"),
        os_like=tuple(release.get("ID_LIKE", "").split()),
        os_name=release.get("PRETTY_NAME", "unknown"),
        arch=platform.machine(),
        libc=_libc(),
        kernel=platform.release(),
        container=_virtualization(host, "--container"),
        machine=_virtualization(host, "--vm"),
        cpus=len(os.sched_getaffinity(0)),
        cpu_flags=cpu_flags(text(Path("/proc/cpuinfo"))),
        memory_mb=megabytes(meminfo, "MemTotal"),
        swap_mb=megabytes(meminfo, "SwapTotal"),
        python=answer(host, "python3", "-I", "-c", _VERSION),
        python_venv=answer(host, "python3", "-I", "-c", "import venv") is not None,
        tools=tuple(tool for tool in sorted(set(tools)) if shutil.which(tool, path=child_environment()["PATH"])),
    )


def os_release(path: Path) -> dict[str, str]:
    """The assignments of an os-release file; empty when there is none."""
    pairs = (line.split("=", 1) for line in text(path).splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def megabytes(meminfo: str, name: str) -> int:
    """A value of /proc/meminfo in MiB; 0 if it is not there."""
    found = next((line for line in meminfo.splitlines() if line.startswith(f"{name}:")), "x 0")
    return int(found.split()[1]) // 1024


def cpu_flags(cpuinfo: str) -> tuple[str, ...]:
    """What the first processor of /proc/cpuinfo can do."""
    found = next((line for line in cpuinfo.splitlines() if line.startswith("flags")), ":")
    return tuple(sorted(found.partition(":")[2].split()))


def _libc() -> str | None:
    name, _, version = (os.confstr("CS_GNU_LIBC_VERSION") or "").partition(" ")
    return version if name == "glibc" else None


def _virtualization(host: Host, kind: str) -> str | None:
    """systemd-detect-virt exits with 1 and says `none` where there is none."""
    return answer(host, "systemd-detect-virt", kind) or None
