"""Limits and devices of the kernel."""

from __future__ import annotations

import fcntl
import os
import platform
import resource
import stat
from collections.abc import Iterable
from pathlib import Path

from installer.facts.model import Kernel
from installer.facts.reading import number, text

_DEVICES = {"/dev/null": (1, 3), "/dev/zero": (1, 5), "/dev/urandom": (1, 9)}
_GET_API_VERSION = 0xAE00
_API_VERSION = 12
_SYS = Path("/proc/sys")
VIRTUALIZATION_DEVICE = Path("/dev/kvm")


def look_at_kernel(modules: Iterable[str], settings: Iterable[str], *, virtualization: bool) -> Kernel:
    """Look at the kernel; changes nothing."""
    return Kernel(
        cgroups=_cgroups(Path("/sys/fs/cgroup")),
        entropy=number(_SYS / "kernel/random/entropy_avail"),
        pid_max=number(_SYS / "kernel/pid_max"),
        inotify_instances=number(_SYS / "fs/inotify/max_user_instances"),
        modules=tuple(name for name in modules if _has_module(name)),
        unknown_settings=tuple(key for key in settings if not _setting(key).exists()),
        virtualization=virtualization_state(VIRTUALIZATION_DEVICE) if virtualization else None,
        bad_devices=tuple(path for path, numbers in _DEVICES.items() if not _is_device(path, numbers)),
        ptys=_opens(Path("/dev/ptmx")),
        open_files=_limit(resource.RLIMIT_NOFILE),
        processes=_limit(resource.RLIMIT_NPROC),
        missing_preloads=tuple(
            name for name in text(Path("/etc/ld.so.preload")).split() if "/" in name and not Path(name).exists()
        ),
    )


def virtualization_state(device: Path) -> str:
    """`ok`, or why: the file may be missing, closed to us, or be there without a kernel behind it."""
    try:
        fd = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return f"there is no {device}"
    except OSError as error:
        return f"{device} is there but cannot be opened: {error.strerror}"
    try:
        version = fcntl.ioctl(fd, _GET_API_VERSION)
    except OSError as error:
        return f"{device} is there but is no virtualization device: {error.strerror}"
    finally:
        os.close(fd)
    return "ok" if version == _API_VERSION else f"{device} speaks version {version}, not {_API_VERSION}"


def _cgroups(folder: Path) -> str | None:
    if (folder / "cgroup.controllers").is_file():
        return "v2"
    return "v1" if any((folder / name).is_dir() for name in ("memory", "cpu", "systemd")) else None


def _has_module(name: str) -> bool:
    """Loaded, built in, or a file of the running kernel's own folder."""
    folder, name = Path("/lib/modules") / platform.release(), name.replace("-", "_")
    if (Path("/sys/module") / name).is_dir():
        return True
    lists = text(folder / "modules.builtin") + text(folder / "modules.dep")
    files = (line.partition(":")[0].rpartition("/")[2].partition(".ko")[0] for line in lists.splitlines())
    return any(each.replace("-", "_") == name for each in files)


def _setting(key: str) -> Path:
    """Where the kernel shows a setting. A dot in the name of one, as of a network device, is written `/` in a key."""
    return _SYS / key.translate({ord("."): "/", ord("/"): "."})


def _is_device(path: str, numbers: tuple[int, int]) -> bool:
    try:
        info = Path(path).stat()
    except OSError:
        return False
    return stat.S_ISCHR(info.st_mode) and (os.major(info.st_rdev), os.minor(info.st_rdev)) == numbers


def _opens(path: Path) -> bool:
    try:
        os.close(os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def _limit(kind: int) -> int:
    """The hard limit; no limit is a large number."""
    hard = resource.getrlimit(kind)[1]
    return 1 << 62 if hard == resource.RLIM_INFINITY else hard
