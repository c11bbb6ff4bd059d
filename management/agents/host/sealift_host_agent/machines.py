"""The VMs of this host: a QEMU process each, and a folder that says which. Nothing of them is only in memory.

A VM outlives the agent; an agent that starts finds it by its folder, its pid file and the uuid in its command line.
How far a move has got is in the folder too, as files that are there or not (marks).
"""

import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from . import networks, places
from .calls import CallError, Locks, grace, launch, left
from .qemu import Layout, Machine, command
from .qmp import Qmp, talking

KILL_SECONDS = 5.0
"""What QEMU gets to end in order, before it is killed."""
UNDO_SECONDS = 10.0
ARRIVING, TAKEN, LEAVING, HANDED = "arriving", "taken", "leaving", "handed"
"""Marks. The first has the files that are the VM's if it comes; a VM that is handed may run on the other host."""


class Machines:
    """The VMs that have a folder in `folder`. `locks` has one for each: who changes a VM holds it."""

    def __init__(self, folder: Path, accelerators: Sequence[str]) -> None:
        self._folder = folder
        self._accelerators = tuple(accelerators)
        self.locks = Locks()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def start(self, machine: Machine) -> None:
        """Run the VM, unless it runs.

        Raises:
            CallError: it cannot be; nothing is left of it then.
        """
        with self.locks(machine.uuid):
            if self.mark(machine.uuid, ARRIVING).exists() and self.alive(machine.uuid):
                raise CallError(f"VM {machine.uuid} is being moved to this host")
            if not self.alive(machine.uuid):
                self.begin(machine)

    def begin(self, machine: Machine, layout: Layout | None = None, files: Callable[[], None] | None = None) -> None:
        """Run QEMU for the VM, whose lock the caller holds. With `layout` it waits for what another QEMU has.

        `files` are made before; those of a VM that waits are removed with it.

        Raises:
            CallError: it cannot be; nothing is left of it then.
        """
        self._forget(machine.uuid)
        folder = self.folder(machine.uuid)
        folder.mkdir(mode=0o700)
        try:
            _write(folder / "nics", [nic.name for nic in machine.nics])
            if files is not None:
                _write(folder / ARRIVING, [str(disk.file) for disk in machine.disks])
                files()
            for nic in machine.nics:
                networks.plug(nic)
            self._launch(machine, layout)
        except (CallError, OSError):
            with grace(UNDO_SECONDS):
                self.end(machine.uuid)
            raise

    def stop(self, uuid: str, seconds: float) -> None:
        """Press the VM's power button; one that still runs after so many seconds is ended."""
        with self.locks(uuid):
            if self.state(uuid) == "Running":
                with self.conversation(uuid) as talk:
                    talk.do("system_powerdown")
                self._wait(uuid, min(seconds, max(0.0, left() - 2 * KILL_SECONDS)))
            self.end(uuid)

    def destroy(self, uuid: str) -> None:
        """End the VM at once, whatever else is being done with it: that fails."""
        self._signal(uuid, signal.SIGTERM)
        with self.locks(uuid):
            self.end(uuid)

    def reboot(self, uuid: str, seconds: float) -> None:
        """Have the guest shut down, and start again in the same QEMU; after so many seconds it is reset.

        Raises:
            CallError: it does not run.
        """
        with self.talk(uuid) as talk:
            talk.do("set-action", shutdown="pause")
            try:
                talk.do("system_powerdown")
                ends = time.monotonic() + min(seconds, max(0.0, left() - KILL_SECONDS))
                while time.monotonic() < ends and talk.do("query-status")["status"] != "shutdown":
                    time.sleep(0.1)
                talk.do("system_reset")
            finally:
                with grace(UNDO_SECONDS):
                    talk.do("set-action", shutdown="poweroff")
            talk.do("cont")

    @contextmanager
    def talk(self, uuid: str) -> Iterator[Qmp]:
        """A conversation with the running VM, the only one there is.

        Raises:
            CallError: it does not run.
        """
        with self.locks(uuid):
            if self.state(uuid) != "Running":
                raise CallError(f"VM {uuid} does not run on this host")
            with self.conversation(uuid) as talk:
                yield talk

    @contextmanager
    def conversation(self, uuid: str) -> Iterator[Qmp]:
        """`talk` for who holds the VM's lock; with one that waits for its move, too.

        Raises:
            CallError: it has no QEMU.
        """
        if not self.alive(uuid):
            raise CallError(f"VM {uuid} does not run on this host")
        with talking(self.folder(uuid) / "qmp") as talk:
            yield talk

    def _launch(self, machine: Machine, layout: Layout | None) -> None:
        """Start QEMU, and return when it has made everything and answers.

        Raises:
            CallError: it has ended, and says why; or the time is over.
        """
        folder = self.folder(machine.uuid)
        words = command(machine, self._accelerators, folder / "pid", folder / "qmp", layout)
        process = launch(words, folder / "log")
        try:
            while process.poll() is None:
                left()
                # It does not listen yet, or is about to end.
                with suppress(CallError), self.conversation(machine.uuid) as talk:
                    talk.do("query-status")
                    return
                time.sleep(0.02)
        except CallError:
            # It may not have written its number yet, by which others would end it.
            process.kill()
            with suppress(subprocess.TimeoutExpired):
                process.wait(KILL_SECONDS)
            raise
        said = (folder / "log").read_text(errors="replace").strip()
        raise CallError(f"QEMU has ended with {process.returncode}: {said[-1000:]}")

    def alive(self, uuid: str) -> bool:
        """Whether the VM has a QEMU on this host, which may be waiting for its move."""
        return self._pid(uuid) is not None

    def runs(self, uuid: str) -> bool:
        """Whether the VM is on this host."""
        return self.alive(uuid) and not self.mark(uuid, ARRIVING).exists()

    def state(self, uuid: str) -> str:
        """Running; Shutdown, when it is not here; or Paused, while it may run on the host that it was handed to."""
        if not self.runs(uuid):
            return "Shutdown"
        return "Paused" if self.mark(uuid, HANDED).exists() else "Running"

    def known(self) -> list[str]:
        """The VMs that have a QEMU on this host; what is left of others is removed."""
        found = []
        for uuid in sorted(each.name for each in self._folder.iterdir()):
            if self.alive(uuid):
                found.append(uuid)
            else:
                with self.locks(uuid):
                    if not self.alive(uuid):
                        self._forget(uuid)
        return found

    def running(self) -> list[str]:
        """The VMs that run on this host."""
        return [uuid for uuid in self.known() if self.state(uuid) == "Running"]

    def user_of(self, file: Path) -> str | None:
        """The VM that has the file open, if one has."""
        return next((uuid for uuid in self.known() if str(file) in _open_files(self._pid(uuid))), None)

    def folder(self, uuid: str) -> Path:
        return self._folder / uuid

    def mark(self, uuid: str, name: str) -> Path:
        return self._folder / uuid / name

    def _pid(self, uuid: str) -> int | None:
        """The process of the VM. Its command line is looked at: after a restart of the host the number is another's."""
        try:
            pid = int((self.folder(uuid) / "pid").read_text(encoding="ascii"))
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        except (OSError, ValueError):
            return None
        return pid if uuid.encode() in words else None

    def _signal(self, uuid: str, number: signal.Signals) -> None:
        pid = self._pid(uuid)
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def _wait(self, uuid: str, seconds: float) -> bool:
        """Whether the VM has ended within so many seconds."""
        pid = self._pid(uuid)
        if pid is None:
            return True
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            return True
        try:
            poll = select.poll()
            poll.register(process, select.POLLIN)
            return bool(poll.poll(seconds * 1000))
        finally:
            os.close(process)

    def end(self, uuid: str) -> None:
        """End the VM, in order if QEMU still can, and forget it.

        Raises:
            CallError: it cannot be ended.
        """
        for number in (signal.SIGTERM, signal.SIGKILL):
            self._signal(uuid, number)
            self._wait(uuid, KILL_SECONDS)
        if self.alive(uuid):
            raise CallError(f"VM {uuid} does not end, not even when it is killed")
        self._forget(uuid)

    def _forget(self, uuid: str) -> None:
        """Remove what a VM that does not run has left; the files too of one that was only waiting for its move."""
        folder = self.folder(uuid)
        for name in _read(folder / "nics"):
            networks.unplug(name)
        for name in _read(folder / ARRIVING):
            places.remove(Path(name))
        if folder.exists():
            shutil.rmtree(folder)


def _open_files(pid: int | None) -> set[str]:
    """The files that the process has open; none when it has ended."""
    found = set()
    with suppress(FileNotFoundError):
        for each in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):
                found.add(str(each.readlink()))
    return found


def _write(file: Path, names: list[str]) -> None:
    """Under its own name the file is whole."""
    file.with_suffix(".new").write_text(json.dumps(names), encoding="ascii")
    file.with_suffix(".new").replace(file)


def _read(file: Path) -> list[str]:
    try:
        found: Any = json.loads(file.read_text(encoding="ascii"))
    except (FileNotFoundError, ValueError):
        return []
    return [str(name) for name in found]
