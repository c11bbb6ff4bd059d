"""VMs that go to another host, while they run: first their disks are copied, then their memory, then they go on there.

The VM is paused here from the moment that its memory is all there until the other host says that it goes on; then its
QEMU is ended. When anything fails before, it goes on here. When the other host does not say whether it goes on, it
stays paused (its mark is `handed`) until the server has asked both: two never run.
"""

import logging
import secrets
import time
from contextlib import suppress
from typing import Any

from . import blocks, places
from .calls import Body, CallError, grace, left, limited, number, text, uuid
from .machines import HANDED, LEAVING, UNDO_SECONDS, Machines
from .peers import Peer, RefusedError
from .qemu import Disk, Machine
from .qmp import Event, Qmp, QmpError
from .transfers import CREDENTIALS, PORTS, forget, inet, introduce, processor, uri

log = logging.getLogger(__name__)

SWITCH_SECONDS = 30.0
"""What the VM may stand still for, at most, before it goes on here."""
CONNECT_SECONDS = 5
_COPY = "move-"
_NIC, _POLL_SECONDS = 0x0200, 0.02
_CAPABILITIES = ("events", "pause-before-switchover", "return-path", "auto-converge")
_ENDED = ("completed", "failed", "cancelled")


class Departures:
    """Moves from this host; agents of hosts listen on `port` and know `token`."""

    def __init__(self, machines: Machines, port: int, token: str) -> None:
        self._machines = machines
        self._port = port
        self._token = token

    def migrate(self, body: Body) -> Body:
        """Move the running VM to another host.

        Raises:
            CallError: it goes on here, and nothing is left of it there; or nobody knows (see above).
        """
        vm = uuid(body, "vmUuid")
        told = body.get("vm")
        if body.get("storageMigrationPolicy") != "FullCopy":
            raise CallError("storageMigrationPolicy must be FullCopy: volumes lie on the hosts' own storage")
        machine = Machine.parse(told if isinstance(told, dict) else {})
        if machine.uuid != vm:
            raise CallError("vm must be the VM that vmUuid names")
        peer = Peer(text(body, "destHostIp"), self._port, self._token)
        with self._machines.locks(vm):
            if self._machines.state(vm) != "Running":
                raise CallError(f"VM {vm} does not run on this host")
            self._copy(machine, {"vm": told}, peer)
            self._hand_over(vm, peer)
        return {}

    def resume(self, body: Body) -> Body:
        """The VM does not run on the host that it was handed to: it goes on here.

        Raises:
            CallError: it is not on this host, or its QEMU does not do it.
        """
        vm = uuid(body, "vmUuid")
        with self._machines.locks(vm):
            if not self._machines.runs(vm):
                raise CallError(f"VM {vm} is not on this host")
            if self._machines.mark(vm, LEAVING).exists():
                self._stay(vm)
        return {}

    def recover(self) -> None:
        """VMs whose move was cut off when an agent ended go on here, but those that may run elsewhere by now."""
        for vm in self._machines.running():
            if self._machines.mark(vm, LEAVING).exists():
                try:
                    with self._machines.locks(vm):
                        self._stay(vm)
                except CallError as error:
                    log.warning("VM %s, whose move was cut off, does not go on: %s", vm, error)

    def _copy(self, machine: Machine, told: Body, peer: Peer) -> None:
        """Have all of the VM on the other host, and it paused here. `told` is what the server said of it."""
        vm, key = machine.uuid, secrets.token_hex(32)
        with self._machines.conversation(vm) as talk:
            told = {**told, **_survey(talk, machine), "key": key}
        self._machines.mark(vm, LEAVING).touch()
        try:
            there = peer.call("/vm/receive", told)
            with self._machines.conversation(vm) as talk:
                introduce(talk, key, self._machines.folder(vm), "client")
                _send(talk, machine, there)
        except Exception:  # whatever it was, the VM must not stand still for it
            self._call_off(vm, peer)
            raise

    def _hand_over(self, vm: str, peer: Peer) -> None:
        self._machines.mark(vm, HANDED).touch()
        try:
            with grace(SWITCH_SECONDS):
                peer.call("/vm/takeover", {"vmUuid": vm})
        except RefusedError:
            self._call_off(vm, peer)
            raise
        except CallError as error:
            raise CallError(f"VM {vm} is paused: it may run on the other host, which does not say: {error}") from error
        with grace(UNDO_SECONDS):
            self._machines.end(vm)

    def _call_off(self, vm: str, peer: Peer) -> None:
        """The VM goes on here. The other host is told so; if it cannot be, it finds out when its time is over."""
        with grace(UNDO_SECONDS):
            self._stay(vm)
        with grace(UNDO_SECONDS):
            try:
                peer.call("/vm/release", {"vmUuid": vm})
            except CallError as error:
                log.warning("VM %s: %s", vm, error)

    def _stay(self, vm: str) -> None:
        """Undo what there is of a move, wherever it stands; the VM goes on here, unless it has ended meanwhile."""
        if not self._machines.alive(vm):
            return
        with self._machines.conversation(vm) as talk:
            _cancel(talk)
            forget(talk, self._machines.folder(vm))
            if talk.do("query-status")["status"] != "running":
                talk.do("cont")
        for name in (HANDED, LEAVING):
            self._machines.mark(vm, name).unlink(missing_ok=True)


def _survey(talk: Qmp, machine: Machine) -> dict[str, Any]:
    """What the other QEMU must be like.

    Raises:
        CallError: the VM cannot be moved as it is.
    """
    status, found = talk.do("query-status")["status"], blocks.disks_of(talk)
    if status != "running":
        raise CallError(f"the VM is {status}; only one that runs is moved")
    if len(found) != len(machine.disks):
        raise CallError(f"the VM has {len(found)} disks, not {len(machine.disks)}")
    disks = [_disk_of(found, disk) for disk in machine.disks]
    devices = [each for bus in talk.do("query-pci") for each in bus["devices"]]
    slots = {each["qdev_id"]: each["slot"] for each in devices}
    nics = sorted(each["slot"] for each in devices if each["class_info"]["class"] == _NIC)
    if len(nics) != len(machine.nics):
        raise CallError(f"the VM has {len(nics)} nics, not {len(machine.nics)}")
    return {
        "machineType": talk.do("qom-get", path="/machine", property="type").removesuffix("-machine"),
        "diskSlots": [slots[disk.device] for disk in machine.disks],
        "nicSlots": nics,
        "sizes": [each["image"]["virtual-size"] for each in disks],
        "processor": processor(talk),
    }


def _disk_of(found: list[dict[str, Any]], disk: Disk) -> dict[str, Any]:
    this = next((each for each in found if each["file"] == str(disk.file)), None)
    if this is None or f"/{disk.device}/" not in f"{this['device']}/":
        raise CallError(f"the VM does not write to {disk.file}")
    below = this.get("backing_file")
    if below is not None and places.is_volume(below):
        raise CallError(f"{disk.file} depends on a snapshot: the VM moves when it is deleted")
    return this


def _send(talk: Qmp, machine: Machine, there: Body) -> None:
    """Copy the disks, then the memory; the VM is paused then.

    Raises:
        CallError: something of it failed or was not done in time.
    """
    on = [{"capability": name, "state": True} for name in _CAPABILITIES]
    talk.do("migrate-set-capabilities", capabilities=on)
    address, port, disk_port = text(there, "address"), _port(there, "port"), _port(there, "diskPort")
    copies = [f"{_COPY}{disk.uuid[:24]}" for disk in machine.disks]
    found = {each["file"]: each["node-name"] for each in blocks.disks_of(talk)}
    for disk, copy in zip(machine.disks, copies, strict=True):
        server = {"type": "inet", **inet(address, disk_port)}
        # While it connects, QEMU does nothing else: the guest would stand still for as long as nobody answers.
        soon = max(1, min(CONNECT_SECONDS, int(left())))
        export = {"server": server, "export": disk.node, "tls-creds": CREDENTIALS, "open-timeout": soon}
        talk.do("blockdev-add", driver="nbd", node_name=copy, **export)
        talk.do("blockdev-mirror", job_id=copy, device=found[str(disk.file)], target=copy, sync="full")
    for copy in copies:
        _until(talk, copy, "BLOCK_JOB_READY")
    talk.do("migrate", uri=uri(address, port))
    _expect(talk, "pre-switchover")
    with limited(SWITCH_SECONDS):
        for copy in copies:
            # A copy that is cancelled when it is ready has everything that the guest has written.
            talk.do("block-job-cancel", device=copy)
            _until(talk, copy, "BLOCK_JOB_COMPLETED")
            talk.do("blockdev-del", node_name=copy)
        talk.do("migrate-continue", state="pre-switchover")
        _expect(talk, "completed")


def _port(there: Body, name: str) -> int:
    return number(there, name, PORTS.start, PORTS.stop - 1)


def _until(talk: Qmp, job: str, name: str) -> None:
    ends = (name, "BLOCK_JOB_COMPLETED", "BLOCK_JOB_CANCELLED", "BLOCK_JOB_ERROR")
    event = talk.wait(lambda event: event["event"] in ends and event["data"]["device"] == job)
    if event["event"] != name or "error" in event["data"]:
        raise CallError(f"the disks were not copied: {event['data'].get('error', event['event'])}")


def _expect(talk: Qmp, status: str) -> None:
    def ended(event: Event) -> bool:
        return event["event"] == "MIGRATION" and event["data"]["status"] in (status, *_ENDED)

    found = talk.wait(ended)["data"]["status"]
    if found != status:
        why = talk.do("query-migrate").get("error-desc", found)
        raise CallError(f"the memory was not copied: {why}")


def _cancel(talk: Qmp) -> None:
    """End the copying of disks and memory, and forget everything that was made for it. It can be done twice."""
    copies = [each["node-name"] for each in talk.do("query-named-block-nodes", flat=True)]
    copies = [name for name in copies if name.startswith(_COPY)]
    with suppress(QmpError):  # an older QEMU has no way to end a connection to a host that is gone
        talk.do("yank", instances=[{"type": "block-node", "node-name": name} for name in copies])
    if talk.do("query-migrate").get("status", "completed") not in _ENDED:
        talk.do("migrate_cancel")
    while talk.do("query-migrate").get("status", "completed") not in _ENDED:
        _pause()
    while jobs := [each["device"] for each in talk.do("query-block-jobs") if each["device"].startswith(_COPY)]:
        for job in jobs:
            with suppress(QmpError):  # it has just ended
                talk.do("block-job-cancel", device=job, force=True)
        _pause()
    for name in copies:
        talk.do("blockdev-del", node_name=name)


def _pause() -> None:
    left()
    time.sleep(_POLL_SECONDS)
