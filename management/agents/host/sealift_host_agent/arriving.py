"""VMs that come to this host: a QEMU waits for what another has, and goes on when it is told to, or is ended.

It is ended, with its files, when the move has not come to its end in time, when the other host gives it up, and when
this agent starts anew. So whatever becomes of the other host, nothing is left here of a move that failed.
"""

import logging
import secrets
import threading
from collections.abc import Callable
from contextlib import suppress

from . import images
from .calls import Body, CallError, grace, left, text, uuid
from .machines import ARRIVING, TAKEN, UNDO_SECONDS, Machines
from .qemu import Layout, Machine
from .qmp import Qmp, QmpError
from .transfers import CREDENTIALS, KEY, PORTS, forget, inet, introduce, processor, uri
from .volumes import MAX_SIZE

log = logging.getLogger(__name__)


class Arrivals:
    """Moves to the host whose management address is `address`."""

    def __init__(self, machines: Machines, address: str) -> None:
        self._machines = machines
        self._address = address
        self._awaited: dict[str, str] = {}

    def receive(self, body: Body) -> Body:
        """Make everything for the VM that another host's agent tells, and listen for it; says on which ports.

        Raises:
            CallError: it cannot come here; nothing is left of it then.
        """
        told = body.get("vm")
        machine = Machine.parse(told if isinstance(told, dict) else {})
        layout, key, sizes = Layout.parse(body, machine), text(body, "key"), _sizes(body, machine)
        if not KEY.fullmatch(key):
            raise CallError("key has the wrong form")
        with self._machines.locks(machine.uuid):
            self._check_free(machine)
            self._machines.begin(machine, layout, lambda: _make(machine, sizes))
            try:
                with self._machines.conversation(machine.uuid) as talk:
                    if processor(talk) != body.get("processor"):
                        raise CallError("its QEMU shows guests another processor: a running VM cannot go on with it")
                    introduce(talk, key, self._machines.folder(machine.uuid), "server")
                    ports = self._listen(talk, machine)
                self._await(machine.uuid, left())
            except Exception:
                with grace(UNDO_SECONDS):
                    self._machines.end(machine.uuid)
                raise
        return {"address": self._address, **ports}

    def take_over(self, body: Body) -> Body:
        """The VM runs here from now on, if all of it has come.

        Raises:
            CallError: it does not run here, and never will by this move.
        """
        vm = uuid(body, "vmUuid")
        with self._machines.locks(vm):
            if not self._machines.alive(vm):
                raise CallError(f"VM {vm} is not on this host")
            if not self._machines.runs(vm):
                self._go_on(vm)
        return {}

    def release(self, body: Body) -> Body:
        """End what waits for the VM, if anything does.

        Raises:
            CallError: the VM was taken over: it runs here.
        """
        vm = uuid(body, "vmUuid")
        with self._machines.locks(vm):
            if self._machines.runs(vm):
                raise CallError(f"VM {vm} runs on this host")
            self._machines.end(vm)
        return {}

    def recover(self) -> None:
        """What an agent that was ended in the middle has left: who waited is ended, who was taken over goes on."""
        for vm in self._machines.known():
            try:
                with self._machines.locks(vm):
                    if self._machines.mark(vm, TAKEN).exists():
                        self._resume(vm)
                    elif not self._machines.runs(vm):
                        self._machines.end(vm)
            except CallError as error:
                log.warning("VM %s, which was moved here when the agent ended: %s", vm, error)

    def _check_free(self, machine: Machine) -> None:
        if self._machines.alive(machine.uuid):
            raise CallError(f"VM {machine.uuid} is on this host already")
        for disk in machine.disks:
            if disk.file.exists():
                raise CallError(f"{disk.file} is on this host already: an earlier move has left it; remove it first")

    def _listen(self, talk: Qmp, machine: Machine) -> dict[str, int]:
        def disks(port: int) -> None:
            talk.do("nbd-server-start", addr={"type": "inet", "data": inet(self._address, port)}, tls_creds=CREDENTIALS)

        served = _first_free(disks)
        for disk in machine.disks:
            talk.do("block-export-add", type="nbd", id=disk.node, node_name=disk.node, name=disk.node, writable=True)
        return {
            "diskPort": served,
            "port": _first_free(lambda port: talk.do("migrate-incoming", uri=uri(self._address, port))),
        }

    def _await(self, vm: str, seconds: float) -> None:
        """Give it up after so many seconds, unless it was taken over by then."""
        this = self._awaited[vm] = secrets.token_hex(8)

        def expire() -> None:
            with self._machines.locks(vm):
                if self._awaited.get(vm) == this:
                    del self._awaited[vm]
                    if not self._machines.runs(vm):
                        log.warning("VM %s did not come in time", vm)
                        self._machines.end(vm)

        timer = threading.Timer(seconds, expire)
        timer.daemon = True
        timer.start()

    def _go_on(self, vm: str) -> None:
        with self._machines.conversation(vm) as talk:
            status = talk.do("query-migrate").get("status")
            if status != "completed":
                raise CallError(f"VM {vm} has not come to this host: its move is {status}")
        arriving, taken = (self._machines.mark(vm, name) for name in (ARRIVING, TAKEN))
        arriving.rename(taken)
        try:
            self._resume(vm)
        except Exception:
            # The answer is that it does not run here: so it must not, whatever QEMU makes of what it was told.
            with grace(UNDO_SECONDS):
                taken.rename(arriving)
                self._machines.end(vm)
            raise

    def _resume(self, vm: str) -> None:
        with self._machines.conversation(vm) as talk:
            talk.do("cont")
            self._machines.mark(vm, TAKEN).unlink()
            # It runs: what is left is to tidy up, and to have the switches learn where its nics are.
            with suppress(CallError):
                talk.do("announce-self", initial=50, max=550, rounds=5, step=50)
                talk.do("nbd-server-stop")
                forget(talk, self._machines.folder(vm))


def _first_free(use: Callable[[int], object]) -> int:
    for port in PORTS:
        try:
            use(port)
        except QmpError as error:
            if "in use" not in str(error):
                raise
        else:
            return port
    raise CallError(f"all ports from {PORTS.start} to {PORTS.stop - 1} of this host are in use")


def _sizes(body: Body, machine: Machine) -> list[int]:
    sizes = body.get("sizes")
    if not isinstance(sizes, list) or len(sizes) != len(machine.disks):
        raise CallError("sizes must have the size of each disk")
    if not all(type(size) is int and 0 < size <= MAX_SIZE for size in sizes):
        raise CallError("sizes must be numbers of bytes")
    return sizes


def _make(machine: Machine, sizes: list[int]) -> None:
    for disk, size in zip(machine.disks, sizes, strict=True):
        images.create(disk.file, size)
