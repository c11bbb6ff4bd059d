"""File systems, by the paths that a run writes to."""

from __future__ import annotations

import os
from pathlib import Path

from installer.facts.model import FileSystem

_FOR_ALL = 0o1777
_NO_LIMIT = 1 << 40
_TEMP_FOLDERS = ("/tmp", "/var/tmp")  # noqa: S108 - looked at, not written


def file_system(path: Path) -> FileSystem:
    """The file system that `path` is on, or will be."""
    there = next(each for each in (path, *path.parents) if each.exists())
    info = os.statvfs(there)
    return FileSystem(
        path=str(path),
        device=there.stat().st_dev,
        free=info.f_bavail * info.f_frsize,
        free_inodes=info.f_favail if info.f_files else _NO_LIMIT,
        writable=not info.f_flag & os.ST_RDONLY,
        executable=not info.f_flag & os.ST_NOEXEC,
        set_uid=not info.f_flag & os.ST_NOSUID,
    )


def odd_temp_folders() -> tuple[str, ...]:
    """The folders for temporary files that are not as they have to be."""
    return tuple(name for name in _TEMP_FOLDERS if not _is_for_all(Path(name)))


def _is_for_all(folder: Path) -> bool:
    return folder.is_dir() and folder.stat().st_mode & 0o7777 == _FOR_ALL
