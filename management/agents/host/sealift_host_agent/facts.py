"""Facts about this host, read from /proc."""

import re
import shutil
from pathlib import Path
from typing import Any

from .calls import run
from .qemu import PROGRAMS

PROC = Path("/proc")


def capacity(proc: Path = PROC) -> dict[str, Any]:
    """CPUs, their speed in MHz, and memory in bytes."""
    memory = _memory(proc)
    total = memory["MemTotal"]
    return {
        "cpuNum": max(1, len(re.findall(r"^processor\s*:", _cpuinfo(proc), re.MULTILINE))),
        "cpuSpeed": _speed(proc),
        "usedCpu": 0,
        "totalMemory": total,
        "usedMemory": total - memory.get("MemAvailable", memory["MemFree"]),
    }


def identity(proc: Path = PROC) -> dict[str, Any]:
    """Kernel, CPU virtualization flag, QEMU and qemu-img, each left out when the host has none.

    `missing` are the programs without which it runs no VMs.
    """
    facts: dict[str, Any] = {
        "hostName": (proc / "sys/kernel/hostname").read_text().strip(),
        "kernelVersion": (proc / "sys/kernel/osrelease").read_text().strip(),
    }
    flag = re.search(r"^flags\s*:.*\b(vmx|svm)\b", _cpuinfo(proc), re.MULTILINE)
    if flag:
        facts["hvmCpuFlag"] = flag[1]
    versions = {"qemuVersion": _qemu_version(), "qemuImgVersion": _version("qemu-img")}
    missing = [
        name for name, found in zip(("qemu-system-x86_64", "qemu-img"), versions.values(), strict=True) if not found
    ]
    return {**facts, **{name: version for name, version in versions.items() if version}, "missing": missing}


def _qemu_version() -> str | None:
    return next(filter(None, map(_version, PROGRAMS)), None)


def _version(program: str) -> str | None:
    if shutil.which(program) is None:
        return None
    found = re.search(r"version (\S+)", run([program, "--version"]))
    return found[1] if found else None


def _cpuinfo(proc: Path) -> str:
    return (proc / "cpuinfo").read_text()


def _speed(proc: Path) -> int:
    speeds = re.findall(r"^cpu MHz\s*:\s*([0-9.]+)", _cpuinfo(proc), re.MULTILINE)
    return round(max(map(float, speeds))) if speeds else 0


def _memory(proc: Path) -> dict[str, int]:
    lines = re.findall(r"^(\w+):\s+(\d+) kB", (proc / "meminfo").read_text(), re.MULTILINE)
    return {name: int(kilobytes) * 1024 for name, kilobytes in lines}
