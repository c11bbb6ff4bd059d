"""Room on the disks, computed from what this very run will write, by file system."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from installer.preflight.model import Finding, Subject

VENV_FACTOR = 4
"""An environment is this many times as large as its wheels: unpacked, with byte code."""
PACKAGE_FACTOR = 4
"""Installed packages are this many times as large as their files, where the package manager does not say."""
SLACK = 32 << 20
_INODES = 5000


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
    wanted[layout.state_dir] += 3 * subject.database_size  # its backup, that restored for a test, and what it becomes
    return {path: size for path, size in wanted.items() if size}


def disk(subject: Subject) -> Iterator[Finding]:
    """Sum the needs of each file system and compare with what is free there."""
    by_device: dict[int, list[tuple[Path, int]]] = defaultdict(list)
    for path, size in needs(subject).items():
        if (system := subject.facts.file_system(path)) is not None:
            by_device[system.device].append((path, size))
    for parts in by_device.values():
        system = subject.facts.file_system(parts[0][0])
        total = sum(size for _, size in parts) + SLACK
        if system is not None and system.free < total:
            names = ", ".join(str(path) for path, _ in parts)
            yield Finding(
                "disk-space",
                f"{_mb(system.free)} free for {names}",
                f"{_mb(total)}",
                f"df -h {parts[0][0]}; free or add room there",
            )
        if system is not None and system.free_inodes < _INODES:
            yield Finding(
                "disk-inodes",
                f"{system.free_inodes} inodes free for {parts[0][0]}",
                f"{_INODES}",
                f"df -i {parts[0][0]}",
            )


def mounts(subject: Subject) -> Iterator[Finding]:
    """Read-only and noexec mounts."""
    for system in subject.facts.file_systems:
        if not system.writable:
            yield Finding(
                "mount-read-only",
                f"{system.path} is mounted read-only",
                "writable",
                f"mount -o remount,rw {system.path}",
            )
    prefix = subject.facts.file_system(subject.layout.prefix)
    if prefix is not None and not prefix.executable:
        yield Finding(
            "mount-noexec",
            f"{prefix.path} is mounted noexec",
            "programs can start there",
            "choose another place with -r DIR",
        )


def _same_device(subject: Subject, one: Path, other: Path) -> bool:
    first, second = subject.facts.file_system(one), subject.facts.file_system(other)
    return first is not None and second is not None and first.device == second.device


def _mb(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MB"
