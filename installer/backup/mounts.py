"""File systems within the folders that a restore replaces: their contents would be removed with what was there."""

from __future__ import annotations

from installer.layout import Layout
from installer.mounts import mounted_within
from payload.errors import UsageError


def check_mounts(layout: Layout, mountinfo: str) -> None:
    """Refuse to replace folders that others are mounted in. `mountinfo`: see `installer.mounts`.

    Raises:
        UsageError: there are some; names all of them.
    """
    folders = [layout.config_dir.resolve(), layout.data_dir.resolve()]
    own = layout.state_dir.resolve()
    inside = [place for place in mounted_within(folders, mountinfo) if place not in folders]
    found = [str(place) for place in inside if own not in {place, *place.parents}]
    if found:
        raise UsageError(
            "mounted-inside",
            "something is mounted within the folders that a restore replaces",
            details="\n".join(found),
            remedy="unmount it, restore, and mount it again",
        )
