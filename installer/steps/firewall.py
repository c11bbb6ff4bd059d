"""Ports that the product wants other hosts to reach, let in by firewalld where that is at work."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import TypeAdapter, ValidationError
from typing_extensions import override

from installer.steps.base import Host, Step, register
from installer.steps.saved import SavedFiles, restore, save
from installer.writing import write_file
from payload.errors import CommandError, IntegrityError

Firewall = Literal["firewalld", "nftables", "iptables"]
OPEN_NOW: tuple[str, ...] = ("firewall-cmd",)
OPEN_ALWAYS: tuple[str, ...] = ("firewall-cmd", "--permanent")
"""Commands for what is so now, and for what is so after a restart."""
_STOPPED: tuple[str, ...] = ("firewall-offline-cmd",)


@dataclass(frozen=True, slots=True)
class Port:
    """A port as firewalld writes it, `8080/tcp`, and the zone that it is open in."""

    zone: str
    port: str


_PORTS = TypeAdapter(tuple[Port, ...])


@dataclass(frozen=True, slots=True)
class PortsBefore:
    """Undo data: the record, the zone that new ports go to, and which of all ports were open, now and for ever."""

    saved: SavedFiles
    zone: str = ""
    live: tuple[Port, ...] = ()
    kept: tuple[Port, ...] = ()


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class OpenPorts(Step[PortsBefore]):
    """Let `ports` in through firewalld, now and after a restart of it, and close what the product opened before and no
    longer wants. `record` remembers what it opened: a port that was open already is not the product's to close.

    Where `firewall` is not firewalld, nothing is done: the plan says why.
    """

    kind: ClassVar[str] = "firewall"
    undo_type: ClassVar[type[Any]] = PortsBefore
    record: Path
    ports: tuple[str, ...] = ()
    firewall: Firewall | None = None

    @override
    def describe(self) -> str:
        names = ", ".join(self.ports)
        if self.firewall is None:
            return f"no firewall is active, so nothing is to be opened for {names or 'the product'}"
        if self.firewall != "firewalld":
            return f"{names or 'what was opened'} is left to whoever keeps the rules of {self.firewall}"
        return f"let {names} in through firewalld" if names else "close what was opened in firewalld"

    @override
    def undone(self) -> str:
        return "close and open again what was closed and open before" if self.firewall == "firewalld" else ""

    @override
    def prepare(self, host: Host) -> PortsBefore:
        saved = save([self.record], host.scratch)
        if self.firewall != "firewalld":
            return PortsBefore(saved)
        kept, live = _commands(host)
        zone = host.run((kept[0], "--get-default-zone")).output.strip()
        every = tuple(dict.fromkeys([*(Port(zone, port) for port in self.ports), *read_record(self.record)]))
        open_now = tuple(port for port in every if live and is_open(live, port, host))
        return PortsBefore(saved, zone, open_now, tuple(port for port in every if is_open(kept, port, host)))

    @override
    def apply(self, host: Host, undo: PortsBefore) -> None:
        if self.firewall != "firewalld":
            return
        own = read_record(self.record)
        wanted = tuple(Port(undo.zone, port) for port in self.ports)
        opened = tuple(port for port in wanted if port in own or port not in undo.kept)
        # before anything is opened: else nobody would know what to close
        write_file(self.record, _PORTS.dump_json(tuple(dict.fromkeys([*own, *opened])), indent=1), mode=0o600)
        for command in filter(None, _commands(host)):
            for port in dict.fromkeys([*wanted, *own]):
                _make(command, port, port in wanted, host)
        if opened:
            write_file(self.record, _PORTS.dump_json(opened, indent=1), mode=0o600)
        else:
            self.record.unlink(missing_ok=True)

    @override
    def undo(self, undo: PortsBefore, host: Host) -> None:
        if self.firewall == "firewalld":
            kept, live = _commands(host)
            wanted = (Port(undo.zone, port) for port in self.ports)
            for port in dict.fromkeys([*wanted, *undo.live, *undo.kept]):
                _make(kept, port, port in undo.kept, host)
                if live:
                    _make(live, port, port in undo.live, host)
        restore(undo.saved)


def is_running(host: Host) -> bool:
    """Is firewalld at work?"""
    try:
        return host.run(("firewall-cmd", "--state"), check=False).returncode == 0
    except CommandError:  # it is not installed
        return False


def is_open(command: tuple[str, ...], port: Port, host: Host) -> bool:
    """Whether `command` says that `port` is open."""
    return host.run((*command, f"--zone={port.zone}", f"--query-port={port.port}"), check=False).returncode == 0


def read_record(path: Path) -> tuple[Port, ...]:
    """What the product opened.

    Raises:
        IntegrityError: the file is damaged.
    """
    if not path.exists():
        return ()
    try:
        return _PORTS.validate_json(path.read_bytes())
    except ValidationError as error:
        raise IntegrityError("firewall-record-damaged", f"{path} cannot be read", details=str(error)) from error


def _commands(host: Host) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The commands for what is kept and for what is so now; the second is empty where firewalld does not run."""
    return (OPEN_ALWAYS, OPEN_NOW) if is_running(host) else (_STOPPED, ())


def _make(command: tuple[str, ...], port: Port, wanted: bool, host: Host) -> None:
    """Only what differs: this may run twice."""
    if is_open(command, port, host) != wanted:
        option = "--add-port" if wanted else "--remove-port"
        host.run((*command, f"--zone={port.zone}", f"{option}={port.port}"))
