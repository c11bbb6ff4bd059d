"""Room on the disks, computed from what this very run will write, by file system."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from installer.facts.model import FileSystem
from installer.preflight.model import Misfit, Subject

VENV_FACTOR = 4
"""An environment is this many times as large as its wheels: unpacked, with byte code."""
PACKAGE_FACTOR = 4
"""Installed packages are this many times as large as their files, where the package manager does not say."""
SLACK = 32 << 20
TEMP_FOLDER = Path("var/tmp")
"""Below the root: where pip unpacks wheels."""


def needs(subject: Subject) -> dict[Path, int]:
    """Bytes that the run will write, by path."""
    offer, layout, preview = subject.offer, subject.layout, subject.preview
    wanted: dict[Path, int] = defaultdict(int)
    if subject.mode in {"install", "upgrade", "downgrade", "repair"}:
        stays = offer.packages_size if offer.keeps_all_packages else preview.download_size
        wanted[layout.prefix] += offer.content_size - offer.packages_size + stays
        wanted[layout.prefix] += offer.runtime_size + VENV_FACTOR * offer.wheels_size
        wanted[layout.images_dir] += 0 if _same_device(subject, layout.prefix, layout.images_dir) else offer.image_size
        installed = preview.installed_size
        wanted[layout.root / "usr"] += PACKAGE_FACTOR * preview.download_size if installed is None else installed
        wanted[layout.state_dir] += preview.download_size  # the package manager's own copies, while it works
        wanted[layout.root / TEMP_FOLDER] += offer.wheels_size
    wanted[layout.state_dir] += 3 * subject.database_size  # its backup, that restored for a test, and what it becomes
    wanted[layout.state_dir] += subject.dump_size
    return {path: size for path, size in wanted.items() if size}


def disk_space(subject: Subject) -> Iterator[Misfit]:
    """Sum the needs of each file system and compare with what is free there."""
    for system, parts in _by_device(subject):
        total = sum(size for _, size in parts) + SLACK
        if system.free < total:
            names = ", ".join(str(path) for path, _ in parts)
            fix = f"df -h {parts[0][0]}; free or add room there"
            yield Misfit(f"{_mb(system.free)} free for {names}", f"{_mb(total)}", fix)


def disk_inodes(subject: Subject) -> Iterator[Misfit]:
    """Small files use them up before the blocks."""
    for system, parts in _by_device(subject):
        if system.free_inodes < subject.wants.inodes:
            place = parts[0][0]
            yield Misfit(f"{system.free_inodes} inodes free for {place}", f"{subject.wants.inodes}", f"df -i {place}")


def mount_read_only(subject: Subject) -> Iterator[Misfit]:
    """Everything that is written to."""
    for system in subject.facts.file_systems:
        if not system.writable:
            fix = f"mount -o remount,rw {system.path}"
            yield Misfit(f"{system.path} is mounted read-only", "writable", fix)


def mount_noexec(subject: Subject) -> Iterator[Misfit]:
    """The prefix has programs in it."""
    prefix = subject.facts.file_system(subject.layout.prefix)
    if prefix is not None and not prefix.executable:
        fix = f"mount -o remount,exec {prefix.path}, or choose another place with -r DIR"
        yield Misfit(f"{prefix.path} is mounted noexec", "programs can start there", fix)


def mount_nosuid(subject: Subject) -> Iterator[Misfit]:
    """Packages bring set-uid programs to /usr."""
    usr = subject.facts.file_system(subject.layout.root / "usr")
    if subject.packages_to_install and usr is not None and not usr.set_uid:
        yield Misfit(f"{usr.path} is mounted nosuid", "set-uid programs work", f"mount -o remount,suid {usr.path}")


def temp_folder(subject: Subject) -> Iterator[Misfit]:
    """Services run as users of their own and write there."""
    for place in subject.facts.odd_temp_folders:
        yield Misfit(f"{place} is not a folder for everybody", "mode 1777", f"mkdir -p {place} && chmod 1777 {place}")


def _by_device(subject: Subject) -> Iterator[tuple[FileSystem, list[tuple[Path, int]]]]:
    """Each file system that is written to, with the needs on it."""
    by_device: dict[int, list[tuple[Path, int]]] = defaultdict(list)
    systems: dict[int, FileSystem] = {}
    for path, size in needs(subject).items():
        if (system := subject.facts.file_system(path)) is not None:
            by_device[system.device].append((path, size))
            systems.setdefault(system.device, system)
    yield from ((systems[device], parts) for device, parts in by_device.items())


def _same_device(subject: Subject, one: Path, other: Path) -> bool:
    first, second = subject.facts.file_system(one), subject.facts.file_system(other)
    return first is not None and second is not None and first.device == second.device


def _mb(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MB"
