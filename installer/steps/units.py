"""systemd units: written, enabled, and removed when the product no longer has them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Step, register
from installer.steps.saved import SavedFiles, restore, save
from installer.steps.service import ask_systemd, stop_loaded
from installer.writing import write_file
from payload.effects import fsync_dir


@dataclass(frozen=True, slots=True)
class Unit:
    """A rendered unit file."""

    name: str
    content: str

    @property
    def startable(self) -> bool:
        """To be enabled and started: it has an [Install] section and is no template."""
        return "@." not in self.name and any(line.strip() == "[Install]" for line in self.content.splitlines())


@dataclass(frozen=True, slots=True)
class UnitsBefore:
    """Undo data: the files, and which units were enabled."""

    saved: SavedFiles
    enabled: tuple[str, ...]


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class InstallUnits(Step[UnitsBefore]):
    """Write `units` into `folder`, enable the startable ones, remove those in `remove`."""

    kind: ClassVar[str] = "units"
    undo_type: ClassVar[type[Any]] = UnitsBefore
    folder: Path
    units: tuple[Unit, ...]
    remove: tuple[str, ...] = ()

    @override
    def describe(self) -> str:
        parts = [f"install the units {', '.join(unit.name for unit in self.units)}"] if self.units else []
        parts += [f"remove the units {', '.join(self.remove)}"] if self.remove else []
        return "; ".join(parts)

    @override
    def undone(self) -> str:
        return "put back the unit files, and which units were enabled"

    @override
    def prepare(self, host: Host) -> UnitsBefore:
        names = (*(unit.name for unit in self.units), *self.remove)
        enabled = enabled_units(tuple(name for name in names if (self.folder / name).exists()), host)
        return UnitsBefore(save((self.folder / name for name in names), host.scratch), enabled)

    @override
    def apply(self, host: Host, undo: UnitsBefore) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        gone = tuple(name for name in self.remove if (self.folder / name).exists())
        if leaving := tuple(name for name in gone if name in undo.enabled):
            host.run(("systemctl", "disable", *leaving))
        for name in gone:
            (self.folder / name).unlink()
        for unit in self.units:
            write_file(self.folder / unit.name, unit.content.encode(), mode=0o644)
        fsync_dir(self.folder)
        host.run(("systemctl", "daemon-reload"))
        if startable := tuple(unit.name for unit in self.units if unit.startable):
            host.run(("systemctl", "enable", *startable))

    @override
    def halt(self, undo: UnitsBefore, host: Host) -> None:
        new = {file.path.name for file in undo.saved.files if file.absent}
        stop_loaded(tuple(unit.name for unit in self.units if unit.startable and unit.name in new), host)

    @override
    def undo(self, undo: UnitsBefore, host: Host) -> None:
        enabled = (unit.name for unit in self.units if unit.startable and (self.folder / unit.name).exists())
        if newly := tuple(name for name in enabled if name not in undo.enabled):
            host.run(("systemctl", "disable", *newly))
        restore(undo.saved)
        host.run(("systemctl", "daemon-reload"))
        if undo.enabled:
            host.run(("systemctl", "enable", *undo.enabled))


def enabled_units(names: tuple[str, ...], host: Host) -> tuple[str, ...]:
    """Those of `names` that systemd starts at boot."""
    states = ask_systemd("is-enabled", names, host)
    return tuple(name for name in names if states[name] == "enabled")
