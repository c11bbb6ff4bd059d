"""File systems within the folders that a restore replaces: their contents would be removed with what was there."""

from __future__ import annotations

import re
from pathlib import Path

from installer.layout import Layout
from payload.errors import UsageError

MOUNTS = Path("/proc/self/mountinfo")
_ESCAPED = re.compile(r"\\([0-7]{3})")
_PLACE = 4
"""The field of mountinfo that has the mount point: see proc_pid_mountinfo(5)."""


def check_mounts(layout: Layout, mountinfo: str) -> None:
    """Refuse to replace folders that others are mounted in. `mountinfo`: the text of `MOUNTS`.

    Raises:
        UsageError: there are some; names all of them.
    """
    folders = [layout.config_dir.resolve(), layout.data_dir.resolve()]
    own = layout.state_dir.resolve()
    found = sorted(
        str(place)
        for place in _places(mountinfo)
        if any(folder in place.parents for folder in folders) and place != own and own not in place.parents
    )
    if found:
        raise UsageError(
            "mounted-inside",
            "something is mounted within the folders that a restore replaces",
            details="\n".join(found),
            remedy="unmount it, restore, and mount it again",
        )


def _places(mountinfo: str) -> list[Path]:
    lines = (line.split(" ") for line in mountinfo.splitlines() if line)
    return [Path(_ESCAPED.sub(lambda code: chr(int(code[1], 8)), fields[_PLACE])) for fields in lines]
