"""File systems within folders that are moved or removed: their contents are somebody else's."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from pathlib import Path

_ESCAPED = re.compile(r"\\([0-7]{3})")
_PLACE = 4
"""The field of mountinfo that has the mount point: see proc_pid_mountinfo(5)."""


def mountinfo() -> str:
    """What the kernel says is mounted, as this process sees it."""
    return Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="surrogateescape")


def mounted_within(folders: Iterable[Path], mountinfo: str) -> tuple[Path, ...]:
    """Mount points below `folders`, and those of them that are one, sorted. Pure."""
    tops = set(folders)
    return tuple(sorted({place for place in _places(mountinfo) if tops & {place, *place.parents}}))


def way_out(places: Iterable[Path]) -> str:
    """The command that takes mounts away, the deepest first; it also works while programs use what is there."""
    return f"umount -l {' '.join(shlex.quote(str(place)) for place in sorted(places, reverse=True))}"


def _places(mountinfo: str) -> list[Path]:
    lines = (line.split(" ") for line in mountinfo.splitlines() if line)
    return [Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), fields[_PLACE])) for fields in lines]
