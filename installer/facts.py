"""What the host is now: gathered once, plain data, JSON-able. What decides takes this and never looks."""

from __future__ import annotations

import os
import platform
import shutil
import socket
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter

from installer.steps import Host
from payload.errors import CommandError

_LISTEN = "0A"


@dataclass(frozen=True, slots=True)
class FileSystem:
    """The file system under a path (of its nearest parent that exists)."""

    path: str
    device: int
    free: int
    free_inodes: int
    writable: bool
    executable: bool


@dataclass(frozen=True, slots=True)
class Facts:
    """The host."""

    uid: int
    os_id: str
    os_like: tuple[str, ...]
    os_name: str
    arch: str
    python: str | None
    """Version of the host's python3."""
    python_venv: bool
    memory_mb: int
    now: int
    localhost_resolves: bool
    systemd: bool
    package_tool: str | None
    rpmdb: str
    """`ok`, or what rpm said."""
    package_lock_holder: str | None
    ports: tuple[int, ...]
    """TCP ports on which something listens."""
    file_systems: tuple[FileSystem, ...]
    homes: dict[str, str]
    tools: tuple[str, ...]
    """Those of the wanted commands that are there."""

    def file_system(self, path: Path) -> FileSystem | None:
        """The one gathered for `path`."""
        return next((each for each in self.file_systems if each.path == str(path)), None)

    def to_json(self) -> str:
        """JSON text; `facts_from_json` reads it."""
        return _FACTS.dump_json(self, indent=2).decode()


_FACTS = TypeAdapter(Facts)
WANTED_TOOLS = ("useradd", "userdel", "getent", "systemctl", "journalctl", "rpm")


def facts_from_json(text: str) -> Facts:
    """Facts that were saved."""
    return _FACTS.validate_json(text)


def gather(host: Host, root: Path, paths: Sequence[Path], users: Iterable[str]) -> Facts:
    """Look at the host; changes nothing."""
    release = os_release(Path("/etc/os-release"))
    python, has_venv = _python(host)
    return Facts(
        uid=os.geteuid(),
        os_id=release.get("ID", "unknown"),
        os_like=tuple(release.get("ID_LIKE", "").split()),
        os_name=release.get("PRETTY_NAME", "unknown"),
        arch=platform.machine(),
        python=python,
        python_venv=has_venv,
        memory_mb=memory_mb(Path("/proc/meminfo").read_text(encoding="ascii")),
        now=int(time.time()),
        localhost_resolves=_localhost_resolves(),
        systemd=(root / "run/systemd/system").is_dir(),
        package_tool=next((tool for tool in ("dnf", "dnf5", "yum") if shutil.which(tool)), None),
        rpmdb=_rpmdb(host),
        package_lock_holder=_package_lock_holder(),
        ports=listening(*(_text(Path("/proc/net") / name) for name in ("tcp", "tcp6"))),
        file_systems=tuple(_file_system(path) for path in paths),
        homes=homes(users, host),
        tools=tuple(tool for tool in WANTED_TOOLS if shutil.which(tool)),
    )


def os_release(path: Path) -> dict[str, str]:
    """The assignments of an os-release file; empty when there is none."""
    pairs = (line.split("=", 1) for line in _text(path).splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def memory_mb(meminfo: str) -> int:
    """Total memory in MiB from /proc/meminfo."""
    line = next(line for line in meminfo.splitlines() if line.startswith("MemTotal:"))
    return int(line.split()[1]) // 1024


def listening(*tables: str) -> tuple[int, ...]:
    """Ports in state LISTEN in tables such as /proc/net/tcp."""
    rows = [line.split() for table in tables for line in table.splitlines()[1:]]
    return tuple(sorted({int(row[1].rpartition(":")[2], 16) for row in rows if len(row) > 3 and row[3] == _LISTEN}))


def _python(host: Host) -> tuple[str | None, bool]:
    code = "import sys; print('.'.join(map(str, sys.version_info[:3])))"
    try:
        version = host.run(("python3", "-I", "-c", code)).output.strip()
    except CommandError:
        return None, False
    return version, host.run(("python3", "-I", "-c", "import venv"), check=False).returncode == 0


def _localhost_resolves() -> bool:
    try:
        socket.getaddrinfo("localhost", None)
    except OSError:
        return False
    return True


def _rpmdb(host: Host) -> str:
    try:
        found = host.run(("rpm", "-qa", "--queryformat", "x"), check=False, timeout=60)
    except CommandError as error:
        return error.brief
    return "ok" if found.returncode == 0 else found.errors.strip() or f"rpm exited with {found.returncode}"


def _package_lock_holder() -> str | None:
    """Who holds dnf's lock: its pid files outlive their process, so ask whether that lives."""
    for path in map(Path, ("/var/cache/dnf/metadata_lock.pid", "/var/lib/dnf/rpmdb_lock.pid", "/var/run/dnf.pid")):
        pid = _text(path).strip()
        if pid.isdigit() and "dnf" in _text(Path("/proc") / pid / "cmdline"):
            return pid
    return None


def _file_system(path: Path) -> FileSystem:
    there = next(each for each in (path, *path.parents) if each.exists())
    info = os.statvfs(there)
    return FileSystem(
        path=str(path),
        device=there.stat().st_dev,
        free=info.f_bavail * info.f_frsize,
        free_inodes=info.f_favail if info.f_files else 1 << 40,
        writable=not info.f_flag & os.ST_RDONLY,
        executable=not info.f_flag & os.ST_NOEXEC,
    )


def homes(users: Iterable[str], host: Host) -> dict[str, str]:
    """Home folder of each of `users` that exists."""
    return {user: home for user in users if (home := _home(user, host))}


def _home(user: str, host: Host) -> str | None:
    fields = host.run(("getent", "passwd", user), check=False).output.strip().split(":")
    return fields[5] if len(fields) > 5 else None


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
