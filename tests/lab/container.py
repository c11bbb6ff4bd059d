"""One systemd-nspawn container: its start, its PID 1, its end. Knows nothing of what the host is for."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from tests.lab import cgroups
from tests.lab.command import enter, environment
from tests.lab.namespaces import processes_with
from tests.lab.network import Network, port_name, start_in_group, wait_for_own_network
from tests.lab.process import LabError, run
from tests.lab.storage import Storage

_LAUNCHER = Path(__file__).parent / "launch.sh"
_READY = ("running", "degraded")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a container runs and how it is told from the others."""

    run_id: str
    name: str
    number: int
    address: str
    root: Path
    storage: Storage
    network: Network

    @property
    def port(self) -> str:
        """The bridge's end of its wire."""
        return port_name(self.number)

    @property
    def log(self) -> Path:
        """The output of its console."""
        return self.storage.folder / "console.log"


class Container:
    """A running container. Made by `start`; over after `power_off` or `kill`."""

    def __init__(self, placement: Placement) -> None:
        self._at = placement
        storage = placement.storage
        image = str(storage.image) if storage.image else "-"
        launch = ["sh", str(_LAUNCHER), str(placement.root), str(storage.layer), image, str(storage.merged)]
        with placement.log.open("a") as log:
            self._process = start_in_group(
                ["unshare", "--mount", "--net", "--propagation", "private", *launch, f"--machine={placement.name}"],
                cgroups.group_folders(placement.run_id, placement.name),
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        self._leader = 0

    @classmethod
    def start(cls, placement: Placement, timeout: float = 300) -> Container:
        """Start it and wait until its systemd says that it is up.

        Raises:
            LabError: it is not up in time; nothing of it is left.
        """
        container = cls(placement)
        try:
            wait_for_own_network(container._process)
            placement.network.attach(container._process.pid, placement.address, placement.port)
            container._release()
            container._wait_until_up(time.monotonic() + timeout)
        except BaseException:
            container.kill()
            raise
        return container

    @property
    def leader(self) -> int:
        """PID 1 of the container, as this machine counts."""
        return self._leader

    @property
    def network_pid(self) -> int:
        """A process in the container's network namespace."""
        return self._process.pid

    def alive(self) -> bool:
        return self._process.poll() is None

    def power_off(self, timeout: float = 30) -> None:
        """An orderly shutdown; what does not end in time is killed."""
        self._process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """End every process of it at once, as a power cut does."""
        if self._leader and self.alive():
            with contextlib.suppress(ProcessLookupError, FileNotFoundError):
                # Stopped first: else one acts on the end of another, and a run whose parent dies begins to undo itself.
                for pid in processes_with(self._leader):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGSTOP)
                os.kill(self._leader, signal.SIGKILL)
        cgroups.kill(self._at.run_id, self._at.name)
        self._process.wait()
        if self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()

    def _release(self) -> None:
        stdin = self._process.stdin
        if stdin is None:
            raise LabError("the launcher has no stdin")
        stdin.write("go\n")
        stdin.close()

    def _wait_until_up(self, deadline: float) -> None:
        state = "not started"
        while time.monotonic() < deadline:
            if not self.alive():
                raise LabError(f"host {self._at.name} ended while it started:\n{self._log_tail()}")
            self._leader = self._find_leader()
            if self._leader:
                state = self._system_state(deadline - time.monotonic())
                if state in _READY:
                    return
            time.sleep(0.03)
        raise LabError(f"host {self._at.name} is not up in time ({state}):\n{self._log_tail()}")

    def _find_leader(self) -> int:
        """The child of nspawn that is PID 1 of a PID namespace of its own; 0 when there is none yet."""
        pid = self._process.pid
        with contextlib.suppress(OSError, ValueError):
            for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
                for line in Path(f"/proc/{word}/status").read_text().splitlines():
                    if line.startswith("NSpid:") and line.split()[-1] == "1":
                        return int(word)
        return 0

    def _system_state(self, timeout: float) -> str:
        argv = enter(self._leader, ["systemctl", "is-system-running", "--wait"], cwd="/")
        try:
            return run(argv, env=environment(None), check=False, timeout=max(timeout, 0.1)).stdout.strip()
        except subprocess.TimeoutExpired:
            return "still starting"

    def _log_tail(self) -> str:
        return self._at.log.read_text(errors="replace")[-2000:]
