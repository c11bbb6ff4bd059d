"""A VM as a command line of QEMU. Pure, but for the look at which QEMU this host has."""

import json
import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

from . import places
from .calls import Body, CallError, number, text, uuid
from .networks import Nic

PROGRAMS = ("qemu-system-x86_64", "/usr/libexec/qemu-kvm")
"""Where distributions have it; the second is EL's."""
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_CACHES = {"none": {"direct": True}, "writeback": {}}
NODE = "vol-"
"""What the names of nodes begin with that were opened for a volume, and have to be closed after it."""
SLOTS = 32
_KIND = re.compile(r"pc(-[a-z0-9]+(\.[a-z0-9]+)*)+")
MAX_MEMORY, MAX_CPUS, MIB = 1 << 42, 255, 1 << 20


@dataclass(frozen=True, slots=True)
class Disk:
    """A volume as a VM has it. Its names in QEMU, of at most 31 characters, are made from its uuid."""

    uuid: str
    file: Path
    cache: str

    @classmethod
    def parse(cls, body: Body) -> "Disk":
        """A volume as the server tells it.

        Raises:
            CallError: its uuid, path or cache mode is not there or has another form.
        """
        cache = body.get("cacheMode", "none")
        if not isinstance(cache, str) or cache not in _CACHES:
            raise CallError(f"cacheMode must be one of {', '.join(_CACHES)}")
        return cls(uuid(body, "volumeUuid"), places.volume(body, "installPath"), cache)

    @property
    def node(self) -> str:
        return f"{NODE}{self.uuid[:24]}"

    @property
    def device(self) -> str:
        return f"disk-{self.uuid[:24]}"

    def blockdev(self) -> dict[str, Any]:
        """What opens the file, as blockdev-add takes it."""
        cache = _CACHES[self.cache]
        file = {"driver": "file", "filename": str(self.file), "cache": cache}
        return {"driver": "qcow2", "node-name": self.node, "discard": "unmap", "cache": cache, "file": file}

    def frontend(self) -> dict[str, Any]:
        """What shows it to the guest, as device_add takes it."""
        return {"driver": "virtio-blk-pci", "id": self.device, "drive": self.node, "serial": self.uuid[:20]}


@dataclass(frozen=True, slots=True)
class Machine:
    """A VM as /vm/start tells it; `disks` begin with the root volume, `memory` is in MiB."""

    uuid: str
    memory: int
    cpus: int
    disks: tuple[Disk, ...]
    nics: tuple[Nic, ...]

    @classmethod
    def parse(cls, body: Body) -> "Machine":
        """What the body says.

        Raises:
            CallError: something is missing or has another form.
        """
        root, others, nics = body.get("rootVolume"), body.get("dataVolumes", []), body.get("nics", [])
        if not isinstance(root, dict) or not _are_objects(others) or not _are_objects(nics):
            raise CallError("rootVolume must be an object, dataVolumes and nics lists of objects")
        return cls(
            uuid(body, "vmInstanceUuid"),
            number(body, "memory", MIB, MAX_MEMORY) // MIB,
            number(body, "cpuNum", 1, MAX_CPUS),
            tuple(Disk.parse(each) for each in (root, *others)),
            tuple(Nic.parse(each) for each in nics),
        )


@dataclass(frozen=True, slots=True)
class Layout:
    """What a QEMU must be like that goes on with another's VM: its type, and the PCI slots of disks and nics."""

    kind: str
    disks: tuple[int, ...]
    nics: tuple[int, ...]

    @classmethod
    def parse(cls, body: Body, machine: Machine) -> "Layout":
        """As another agent tells it.

        Raises:
            CallError: it has another form, or is not one of this machine.
        """
        kind = text(body, "machineType")
        if not _KIND.fullmatch(kind):
            raise CallError("machineType has the wrong form")
        return cls(kind, _slots(body, "diskSlots", len(machine.disks)), _slots(body, "nicSlots", len(machine.nics)))


def _slots(body: Body, name: str, count: int) -> tuple[int, ...]:
    slots = body.get(name)
    if not isinstance(slots, list) or len(slots) != count:
        raise CallError(f"{name} must be {count} numbers")
    if not all(type(slot) is int and 0 < slot < SLOTS for slot in slots):
        raise CallError(f"{name} must be numbers of slots")
    return tuple(slots)


def _are_objects(values: object) -> bool:
    return isinstance(values, list) and all(isinstance(each, dict) for each in values)


def program() -> str:
    """This host's QEMU.

    Raises:
        CallError: it has none.
    """
    for name in PROGRAMS:
        if found := shutil.which(name):
            return found
    raise CallError("this host has no QEMU: install qemu-system-x86 (on EL: qemu-kvm)")


def command(
    machine: Machine, accelerators: Sequence[str], pid: Path, monitor: Path, layout: Layout | None = None
) -> list[str]:
    """The command that runs it, and ends with it. It writes its number to `pid`, and takes commands at `monitor`.

    It does not go to the background by its own means: for that its sandbox would have to let it fork. The first of the
    accelerators that this host can do is taken. What the guest says on its serial line is kept in a ring of 64 KiB.
    With `layout` it does not begin by itself, but waits for what another QEMU has of the VM.
    """
    argv = [program(), "-name", machine.uuid, "-uuid", str(UUID(machine.uuid)), "-nodefaults", "-no-user-config"]
    argv += ["-display", "none", "-sandbox", _SANDBOX, "-pidfile", str(pid)]
    # This machine type takes disks and nics while it runs, on its one bus, without ports that are set aside for them.
    argv += ["-machine", layout.kind if layout else "pc", "-cpu", "max"]
    argv += ["-smp", str(machine.cpus), "-m", str(machine.memory)]
    argv += [word for name in accelerators for word in ("-accel", name)]
    argv += ["-qmp", f"unix:{monitor},server=on,wait=off"]
    argv += ["-chardev", "ringbuf,id=serial,size=65536", "-serial", "chardev:serial"]
    for index, disk in enumerate(machine.disks):
        slot = {"addr": f"{layout.disks[index]:x}"} if layout else {}
        # As JSON, so that no comma of a name is taken for the beginning of another option.
        argv += ["-blockdev", json.dumps(disk.blockdev()), "-device", json.dumps({**disk.frontend(), **slot})]
    for index, nic in enumerate(machine.nics):
        place = f",addr={layout.nics[index]:x}" if layout else ""
        argv += ["-netdev", f"tap,id=net{index},ifname={nic.name},script=no,downscript=no"]
        argv += ["-device", f"virtio-net-pci,netdev=net{index},mac={nic.mac},romfile={place}"]
    return [*argv, "-S", "-incoming", "defer"] if layout else argv
