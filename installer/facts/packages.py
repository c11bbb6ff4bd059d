"""The package manager and its database."""

from __future__ import annotations

import configparser
import fcntl
import fnmatch
import os
import shutil
import struct
import tempfile
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from installer.facts.model import Packages
from installer.facts.reading import fault, text
from installer.steps import Host
from payload.errors import CommandError

_LOCKS = ("/var/cache/dnf/metadata_lock.pid", "/var/lib/dnf/rpmdb_lock.pid", "/var/run/dnf.pid", "/var/run/yum.pid")
_RPM_LOCKS = ("/usr/lib/sysimage/rpm/.rpm.lock", "/var/lib/rpm/.rpm.lock")
_PENDING = (
    "/system-update",
    "/etc/system-update",
    "/var/lib/dnf/system-upgrade/transaction.json",
    "/usr/lib/sysimage/libdnf5/offline/offline-transaction-state.toml",
)
_UNFINISHED_YUM = "transaction-all.*"
_FLOCK = "@hhqqi4x"
"""struct flock: type, whence, start, length, pid."""
_MANY = ("kernel", "gpg-pubkey", "installonlypkg")
"""Packages of these names may be installed in several versions."""


def look_at_packages(host: Host, conflicts: Sequence[str]) -> Packages:
    """Look at the package manager; changes nothing."""
    tool = next((tool for tool in ("dnf", "dnf5", "yum") if shutil.which(tool)), None)
    with ThreadPoolExecutor(1) as beside:
        tool_fault = None if tool is None else beside.submit(_tool_fault, host, tool)
        installed, broken = _installed(host)
    return Packages(
        tool=tool,
        tool_fault=None if tool_fault is None else tool_fault.result(),
        rpmdb_fault=broken,
        duplicates=duplicates(installed),
        conflicts=tuple(
            name
            for name in sorted({each.rpartition(".")[0] for each in installed})
            if any(fnmatch.fnmatchcase(name, pattern) for pattern in conflicts)
        ),
        lock_holder=_lock_holder(),
        pending=(
            *(path for path in _PENDING if Path(path).exists() or Path(path).is_symlink()),
            *(str(path) for path in sorted(Path("/var/lib/yum").glob(_UNFINISHED_YUM))),
        ),
        excludes=_excludes(),
    )


def _tool_fault(host: Host, tool: str) -> str | None:
    """What keeps it from starting: asked for repositories where there are none, with logs and caches elsewhere."""
    try:
        with tempfile.TemporaryDirectory(prefix="sealift-") as scratch:
            places = (f"--setopt={name}={scratch}" for name in ("logdir", "cachedir", "reposdir"))
            return fault(host, tool, "-C", *places, "--quiet", "repolist")
    except OSError as error:
        return f"it has no temporary folder ({error.strerror})"


def duplicates(installed: Sequence[str]) -> tuple[str, ...]:
    """What is in a list of `name.arch` more than once, and may not be."""
    counted = Counter(name for name in installed if not name.startswith(_MANY))
    return tuple(sorted(name for name, count in counted.items() if count > 1))


def held_by(path: Path) -> str | None:
    """Pid of who holds a write lock on a file; `?` if that is somebody beyond this host's processes."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        asked = struct.pack(_FLOCK, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
        kind, _, _, _, pid = struct.unpack(_FLOCK, fcntl.fcntl(fd, fcntl.F_GETLK, asked))
    finally:
        os.close(fd)
    return None if kind == fcntl.F_UNLCK else str(pid) if pid > 0 else "?"


def _installed(host: Host) -> tuple[tuple[str, ...], str | None]:
    try:
        done = host.run(("rpm", "-qa", "--queryformat", "%{NAME}.%{ARCH}\n"), check=False, timeout=60)
    except CommandError as error:
        return (), error.details or error.brief
    if done.returncode != 0 or done.errors.strip():
        return (), " ".join(done.errors.split())[-300:] or f"rpm exited with {done.returncode}"
    return tuple(done.output.split()), None


def _lock_holder() -> str | None:
    """dnf's pid files outlive their process, so ask whether that lives; rpm's lock dies with its holder."""
    for path in map(Path, _LOCKS):
        pid = text(path).strip()
        command = text(Path("/proc") / pid / "cmdline") if pid.isdigit() else ""
        if "dnf" in command or "yum" in command:
            return pid
    return next(filter(None, (held_by(Path(path)) for path in _RPM_LOCKS)), None)


def _excludes() -> str | None:
    for path in ("/etc/dnf/dnf.conf", "/etc/yum.conf"):
        parser = configparser.ConfigParser(interpolation=None, strict=False)
        try:
            parser.read_string(text(Path(path)))
        except configparser.Error:  # the package manager will say what is wrong with its own file
            continue
        for key in ("exclude", "excludepkgs"):
            if value := parser.get("main", key, fallback="").strip():
                return f"{path}: {key}={' '.join(value.split())}"
    return None
