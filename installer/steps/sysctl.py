"""Kernel settings that the product needs: in a file of its own in /etc/sysctl.d, and in the kernel at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from pydantic import TypeAdapter, ValidationError
from typing_extensions import override

from installer.steps.base import Host, Step, register
from installer.steps.saved import SavedFiles, restore, save
from installer.writing import write_file
from payload.errors import CommandError, IntegrityError, StepError

_VALUES = TypeAdapter(dict[str, str])


@dataclass(frozen=True, slots=True)
class Setting:
    """A kernel setting, such as `net.ipv4.ip_forward`."""

    key: str
    value: str


@dataclass(frozen=True, slots=True)
class SysctlBefore:
    """Undo data: the files, and the values that the kernel had."""

    saved: SavedFiles
    values: dict[str, str]


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class SetSysctls(Step[SysctlBefore]):
    """Make `file` hold exactly `settings`, and the kernel too; without any, the file goes.

    `origin` remembers what the kernel had before the product first changed it. A key that is no longer among `settings`
    gets that back.
    """

    kind: ClassVar[str] = "sysctl"
    undo_type: ClassVar[type[Any]] = SysctlBefore
    file: Path
    origin: Path
    settings: tuple[Setting, ...] = ()

    @override
    def describe(self) -> str:
        if not self.settings:
            return f"remove the kernel settings {self.file}, and set back what they changed"
        return f"set {', '.join(f'{each.key} = {each.value}' for each in self.settings)} ({self.file})"

    @override
    def undone(self) -> str:
        return "set the kernel's values back, and put back the file or remove it if it is new"

    @override
    def prepare(self, host: Host) -> SysctlBefore:
        keys = dict.fromkeys([*(each.key for each in self.settings), *read_origin(self.origin)])
        return SysctlBefore(save((self.file, self.origin), host.scratch), {key: live_value(key, host) for key in keys})

    @override
    def apply(self, host: Host, undo: SysctlBefore) -> None:
        origin = read_origin(self.origin)
        wanted = {each.key for each in self.settings}
        kept = {key: origin.get(key, undo.values[key]) for key in sorted(wanted)}
        if kept:  # before the kernel is changed: else nobody would know what to set back
            write_file(self.origin, _VALUES.dump_json({**origin, **kept}, indent=1), mode=0o600)
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_file(self.file, settings_text(self.settings).encode(), mode=0o644)
            host.run(("sysctl", "-q", "-p", str(self.file)))
        _set({key: value for key, value in origin.items() if key not in wanted}, host)
        if kept:
            write_file(self.origin, _VALUES.dump_json(kept, indent=1), mode=0o600)
        else:
            self.file.unlink(missing_ok=True)
            self.origin.unlink(missing_ok=True)

    @override
    def undo(self, undo: SysctlBefore, host: Host) -> None:
        restore(undo.saved)
        _set(undo.values, host)


def settings_text(settings: tuple[Setting, ...]) -> str:
    """The text of a file in sysctl.d."""
    return "# Written by the product's installer; it is written again by an upgrade.\n" + "".join(
        f"{each.key} = {each.value}\n" for each in settings
    )


def live_value(key: str, host: Host) -> str:
    """What the kernel has, with single blanks.

    Raises:
        StepError: it has no such setting.
    """
    try:
        return " ".join(host.run(("sysctl", "-n", key)).output.split())
    except CommandError as error:
        raise StepError(
            "sysctl-unknown",
            f"the kernel has no setting {key}",
            details=error.details,
            remedy="a module that brings it may have to be loaded first",
        ) from error


def read_origin(path: Path) -> dict[str, str]:
    """What the kernel had before the product changed it; empty if it changed nothing.

    Raises:
        IntegrityError: the file is damaged.
    """
    if not path.exists():
        return {}
    try:
        return _VALUES.validate_json(path.read_bytes())
    except ValidationError as error:
        raise IntegrityError("sysctl-origin-damaged", f"{path} cannot be read", details=str(error)) from error


def _set(values: Mapping[str, str], host: Host) -> None:
    """Only what differs: a value that cannot be written need not be."""
    for key, value in values.items():
        if live_value(key, host) != value:
            host.run(("sysctl", "-q", "-w", f"{key}={value}"))
