"""Agents for tests of the protocol: simulated ones and real processes, behind one face."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import trustme

from management.deploy.client import AgentClient
from tests.ports import free_port
from tests.unit.management.patience import PATIENCE
from tests.unit.management.simulator import Body, Callbacks, Simulator

AGENTS = Path(__file__).parents[3] / "management" / "agents"
TOKEN = "agent-token-of-this-test"
ACCOUNT = uuid.uuid4().hex


class Rig(ABC):
    """An agent of a host (`host`) or of a backup storage (`storage`) that runs, a folder, and a place for results."""

    def __init__(
        self, kind: str, address: str = "127.0.0.1", port: int = 0, token: str = TOKEN, root: Path | None = None
    ) -> None:
        """`root` is where its storage seems to be, for hosts of one cluster have theirs at the same path."""
        self.kind = kind
        self.port = port or free_port()
        self.client = AgentClient(address, self.port, token)
        # Short: the path of a socket in it has at most 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="agent-", dir="/var/tmp"))
        self.storage = self.folder / "storage"
        self.root = root or self.storage
        self._stack = ExitStack()
        self._callbacks = Callbacks()
        server, self._url = self._callbacks.serve()
        self._stack.callback(server.server_close)
        self._stack.callback(server.shutdown)

    def begin(self, command: str, /, *, seconds: float = PATIENCE, **body: Any) -> str:
        """Have the agent begin it, and do not wait; returns the task's uuid."""
        task = uuid.uuid4().hex
        self.client.begin(command, body, task, self._url, seconds=seconds)
        return task

    def call(self, command: str, /, *, seconds: float = PATIENCE, **body: Any) -> Body:
        """Have the agent do it as the server does, and wait for the result, which comes exactly once."""
        task = self.begin(command, seconds=seconds, **body)
        told, answer = self._callbacks.results.get(timeout=PATIENCE)
        assert told == task
        return answer

    def volume(self, kind: str = "root") -> str:
        """The path of a new volume's file, as the server makes it."""
        name = uuid.uuid4().hex
        return f"{self.root}/{kind}Volumes/acct-{ACCOUNT}/vol-{name}/{name}.qcow2"

    def image(self) -> str:
        """The path of a new image on a backup storage, as the server makes it."""
        return f"{self.root}/rootVolumeTemplates/acct-{ACCOUNT}/{uuid.uuid4().hex}/an image.qcow2.template"

    @abstractmethod
    def start(self) -> None: ...

    @abstractmethod
    def stop(self) -> None:
        """End the agent, as a restart of its service does; what it runs goes on."""

    @abstractmethod
    def has(self, path: str) -> bool:
        """Whether this file of a storage is there, and whole."""

    def close(self) -> None:
        """End everything, the VMs too."""
        self.stop()
        self._stack.close()
        shutil.rmtree(self.folder)


class SimulatedRig(Rig):
    def __init__(
        self, kind: str, address: str = "127.0.0.1", port: int = 0, token: str = TOKEN, root: Path | None = None
    ) -> None:
        super().__init__(kind, address, port, token, root)
        self.host = Simulator(address, self.port, token)

    def start(self) -> None:
        self.host.start()

    def stop(self) -> None:
        self.host.stop()

    def has(self, path: str) -> bool:
        return path in self.host.files


class RealRig(Rig):
    """The agent's own process, as its unit starts it; in the network of the process `network`, if that is given."""

    network: int | None = None

    def __init__(
        self, kind: str, address: str = "127.0.0.1", port: int = 0, token: str = TOKEN, root: Path | None = None
    ) -> None:
        super().__init__(kind, address, port, token, root)
        self.storage.mkdir()
        self.log = self.folder / "log"
        (self.folder / "token").write_text(token + "\n")
        config = {
            "listen_address": address,
            "listen_port": self.port,
            "state_dir": str(self.folder / "state"),
            "token_file": str(self.folder / "token"),
            "server_ca_file": str(self.folder / "ca.pem"),
        }
        (self.folder / "agent.json").write_text(json.dumps(config))
        trustme.CA().cert_pem.write_to_path(self.folder / "ca.pem")
        self._agent: subprocess.Popen[bytes] | None = None

    @property
    def options(self) -> list[str]:
        # Guests do not run by KVM on every machine that has it.
        return ["--accelerators", "tcg"] if self.kind == "host" else ["--imports", str(self.folder / "imports")]

    def start(self) -> None:
        argv = [sys.executable, "-P", "-m", f"sealift_{self.kind}_agent", "--config", str(self.folder / "agent.json")]
        if self.root != self.storage:
            # What other processes see at that path is another host's.
            mount = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
            argv = ["unshare", "--mount", "sh", "-c", mount, "sh", str(self.storage), str(self.root), *argv]
        if self.network is not None:
            argv = ["nsenter", "-t", str(self.network), "-n", "--", *argv]
        environment = {**os.environ, "PYTHONPATH": str(AGENTS / self.kind)}
        with self.log.open("ab") as stream:
            self._agent = subprocess.Popen([*argv, *self.options], stderr=stream, env=environment, cwd="/")
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            assert self._agent.poll() is None, self.log.read_text()
            with suppress(ConnectionRefusedError):
                socket.create_connection((self.client.address, self.port), 1).close()
                return
            time.sleep(0.02)
        raise AssertionError(self.log.read_text())

    def stop(self) -> None:
        if self._agent is not None:
            self._agent.terminate()
            self._agent.wait(PATIENCE)
            self._agent = None

    def kill(self) -> None:
        """The agent's process dies in the middle of what it does."""
        if self._agent is not None:
            self._agent.kill()
            self._agent.wait(PATIENCE)
            self._agent = None

    def has(self, path: str) -> bool:
        return self.file(path).is_file()

    def file(self, path: str) -> Path:
        """Where a file of its storage really is."""
        return self.storage / Path(path).relative_to(self.root)

    def close(self) -> None:
        if self._agent is not None and self.kind == "host":
            for vm in (self.folder / "state" / "vms").iterdir():
                assert self.client.call("/vm/destroy", {"uuid": vm.name}) == {"success": True}
        super().close()


@contextmanager
def pair(kind: type[Rig]) -> Iterator[tuple[Rig, Rig]]:
    """Two hosts of one cluster, whose agents run: their storage is at the same path, and is not the same."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="cluster-", dir="/var/tmp") as root, ExitStack() as stack:
        hosts = [kind("host", f"127.0.0.{number}", port, root=Path(root)) for number in (1, 2)]
        for host in hosts:
            stack.callback(host.close)
            host.start()
        yield hosts[0], hosts[1]


RIGS: dict[str, type[Rig]] = {"simulator": SimulatedRig, "real": RealRig}
