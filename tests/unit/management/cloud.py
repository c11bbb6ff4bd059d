"""A small cloud of simulated hosts behind a real server: what tests of VMs and their removal share."""

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from management.deploy.desired import describe
from management.deploy.keys import agent_token
from management.server.certificates import Certificates
from management.server.compute.imagestore import AGENT as STORAGE_AGENT
from management.server.hosts import AGENT
from tests.unit.management.conftest import Install
from tests.unit.management.patience import PATIENCE
from tests.unit.management.simulator import Simulator

TOO_LITTLE = 3000
"""Milliseconds in which a call comes to the agent, which a test keeps from ending it in time."""
PAST, NEVER = "2026-01-01 00:00:00.000000", "2999-01-01 00:00:00.000000"
HEADER = "org.zstack.header"
NETWORK = f"{HEADER}.network"
# ssh as the server sees it: every host says that its agent is deployed as this release wants it.
SSH = """#!/bin/sh
case "$*" in *-agents/storage/*) agent=storage;; *) agent=host;; esac
while [ "$1" != -- ]; do shift; done
cat "$(dirname "$0")/facts-$2-$agent"
"""


@dataclass
class Cloud:
    """Two hosts in a cluster with a network and storage, and something to make VMs from."""

    install: Install
    hosts: list[Simulator] = field(default_factory=list)
    session: dict[str, str] = field(default_factory=dict)
    uuids: dict[str, str] = field(default_factory=dict)

    def call(self, message: str, /, **fields: Any) -> dict[str, Any]:
        """Make the call and return its answer without the envelope."""
        (answer,) = self.install.post(message, session=self.session, **fields).values()
        return dict(answer)

    def make(self, message: str, /, **fields: Any) -> str:
        """Make a resource and return its uuid."""
        answer = self.call(message, **fields)
        assert answer["success"], answer
        return str(answer["inventory"]["uuid"])

    def create_vm(self, **more: Any) -> dict[str, Any]:
        wanted = {"instanceOfferingUuid": self.uuids["offering"], "imageUuid": self.uuids["image"]}
        networks = [self.uuids["l3"]]
        return self.call(f"{HEADER}.vm.APICreateVmInstanceMsg", name="vm", l3NetworkUuids=networks, **wanted, **more)

    def vm(self, verb: str, uuid: str, **more: Any) -> dict[str, Any]:
        return self.call(f"{HEADER}.vm.API{verb}VmInstanceMsg", uuid=uuid, **more)

    def row(self, kind: str, uuid: str) -> dict[str, Any]:
        """The inventory of a VM, a host or a volume."""
        names = {"vm": "vm.APIQueryVmInstanceMsg", "host": "host.APIQueryHostMsg", "volume": "volume.APIQueryVolumeMsg"}
        conditions = [{"name": "uuid", "op": "=", "value": uuid}]
        (row,) = self.call(f"{HEADER}.{names[kind]}", conditions=conditions)["inventories"]
        return dict(row)

    def jobs(self, status: str | None = None) -> list[dict[str, Any]]:
        conditions = [] if status is None else [{"name": "status", "op": "=", "value": status}]
        jobs: list[dict[str, Any]] = self.call("org.zstack.core.gc.APIQueryGCJobMsg", conditions=conditions)[
            "inventories"
        ]
        return jobs

    def unfinished(self) -> list[dict[str, Any]]:
        """The jobs that are not done: each waits, or is just being tried."""
        return [job for job in self.jobs() if job["status"] != "Done"]

    def hold_back(self) -> bool:
        """Have the jobs that wait tried at events only. False while one is just being tried: then ask again."""
        self._next_try(NEVER)
        others = "select 1 from GarbageCollectorVO where status = 'Processing' or status = 'Idle' and nextDate <> ?"
        return self.install.sql(others, NEVER) == []

    def collects(self, holds: Callable[[], bool], what: str) -> None:
        """Wait until it holds; jobs need not wait for their next try meanwhile."""

        def tried() -> bool:
            # Again and again: a try that was under way sets the time of the next one.
            self._next_try(PAST)
            return holds()

        eventually(tried, what)

    def _next_try(self, date: str) -> None:
        self.install.sql("update GarbageCollectorVO set nextDate = ? where status = 'Idle'", date)

    def host_of(self, vm: dict[str, Any]) -> Simulator:
        return self.hosts[0] if vm["hostUuid"] == self.uuids["host0"] else self.hosts[1]

    def reconnect(self, number: int) -> dict[str, Any]:
        return self.call(f"{HEADER}.host.APIReconnectHostMsg", uuid=self.uuids[f"host{number}"])

    def set(self, category: str, name: str, value: str) -> None:
        message = "org.zstack.core.config.APIUpdateGlobalConfigMsg"
        assert self.call(message, category=category, name=name, value=value)["success"]

    def fill(self) -> None:
        """Make the inventory, and connect the hosts."""
        self.session = self.install.log_in()
        ((zone, cluster),) = self.install.sql("select zoneUuid, uuid from ClusterEO")
        uuids = self.uuids = {"zone": zone, "cluster": cluster}
        uuids["l2"] = self.make(
            f"{NETWORK}.l2.APICreateL2NoVlanNetworkMsg", name="l2", zoneUuid=zone, physicalInterface="eth0"
        )
        attach = f"{NETWORK}.l2.APIAttachL2NetworkToClusterMsg"
        assert self.call(attach, l2NetworkUuid=uuids["l2"], clusterUuid=cluster)["success"]
        uuids["l3"] = self.make(f"{NETWORK}.l3.APICreateL3NetworkMsg", name="l3", l2NetworkUuid=uuids["l2"])
        addresses = {"startIp": "10.0.0.10", "endIp": "10.0.0.99", "netmask": "255.255.255.0", "gateway": "10.0.0.1"}
        self.make(f"{NETWORK}.l3.APIAddIpRangeMsg", name="r", l3NetworkUuid=uuids["l3"], **addresses)
        storage = "org.zstack.storage.primary.local.APIAddLocalPrimaryStorageMsg"
        uuids["storage"] = self.make(storage, name="ps", zoneUuid=zone, url="/zstack_ps")
        attach = f"{HEADER}.storage.primary.APIAttachPrimaryStorageToClusterMsg"
        assert self.call(attach, primaryStorageUuid=uuids["storage"], clusterUuid=cluster)["success"]
        offering = f"{HEADER}.configuration.APICreateInstanceOfferingMsg"
        uuids["offering"] = self.make(offering, name="small", cpuNum=1, cpuSpeed=1000, memorySize=1 << 30)
        self._add_image()
        for number, host in enumerate(self.hosts):
            uuids[f"host{number}"] = self._add_host(host)
            assert self.reconnect(number) == {"success": True}

    def _add_image(self) -> None:
        file = self.install.home / "trial.qcow2"
        file.write_bytes(b"QFI\xfb")
        spec = {"name": "trial", "digest": "sha256:" + "0" * 64, "size": 4, "virtual-size": 100, "path": str(file)}
        done = self.install.run("register-images", "-", stdin=json.dumps([spec]))
        assert done.returncode == 0, done.stderr
        ((self.uuids["image"],),) = self.install.sql("select uuid from ImageEO")

    def add_storage(self, name: str, address: str, url: str = "/zstack_bs") -> str:
        """A backup storage whose agent is at `address`: a row as AddSftpBackupStorage makes it, which is connected."""
        made = uuid.uuid4().hex
        row = {"uuid": made, "name": name, "url": url, "hostname": address, "username": "root"}
        row |= {"type": "SftpBackupStorage", "state": "Enabled", "status": "Disconnected"}
        row |= dict.fromkeys(("totalCapacity", "availableCapacity"), "0")
        row |= dict.fromkeys(("createDate", "lastOpDate"), "2026-01-01 10:00:00.000000")
        self.install.sql(
            f"insert into BackupStorageEO ({', '.join(row)}) values ({', '.join('?' * len(row))})", *row.values()
        )
        connect = "org.zstack.storage.backup.sftp.APIReconnectSftpBackupStorageMsg"
        assert self.call(connect, uuid=made)["inventory"]["status"] == "Connected"
        return made

    def _add_host(self, host: Simulator) -> str:
        """A row as AddKVMHost makes it, which could not log in to a host that is not there."""
        made = f"{host.address.split('.')[-1]:0>12}41118111111111111111"
        columns = "uuid, zoneUuid, clusterUuid, name, managementIp, hypervisorType, state, status, username, sshPort,"
        columns += " totalCpuCapacity, availableCpuCapacity, totalMemoryCapacity, availableMemoryCapacity,"
        columns += " createDate, lastOpDate"
        place = (made, self.uuids["zone"], self.uuids["cluster"], host.address, host.address)
        rest = ("KVM", "Enabled", "Disconnected", "root", 22, 0, 0, 0, 0, "2026-01-01 10:00:00.000000")
        marks = ", ".join("?" * 16)
        self.install.sql(f"insert into HostEO ({columns}) values ({marks})", *place, *rest, rest[-1])
        return made


@contextmanager
def cloud(install: Install, tag: int, addresses: Sequence[str] = ()) -> Iterator[Cloud]:
    """A cloud whose hosts have addresses of their own, made from `tag`; its server is not running yet.

    With `addresses` its hosts are there, and none is simulated.
    """
    for agent in (AGENT, STORAGE_AGENT):
        packages = install.home / "agents" / agent.name
        packages.mkdir(parents=True)
        wheel = f"sealift_{agent.name}_agent-1.1.0-py3-none-any.whl"
        for name in ("pip-26.3-py3-none-any.whl", wheel, "requirements.txt"):
            (packages / name).write_text(name)
    (install.data / "keys" / "id_ed25519").write_text("no key is needed\n")
    token = agent_token(install.data / "keys")
    certificates = Certificates(install.data / "tls")
    certificates.ensure(())
    authority = certificates.authority.read_text()
    programs = install.home / "programs"
    programs.mkdir()
    (programs / "ssh").write_text(SSH)
    (programs / "ssh").chmod(0o755)
    install.variables["PATH"] = f"{programs}:{os.environ['PATH']}"
    made = Cloud(install)
    for address in addresses or [f"127.{tag // 250 + 2}.{tag % 250}.{number}" for number in (1, 2)]:
        host = Simulator(address, AGENT.port, token)
        for agent in (AGENT, STORAGE_AGENT):
            packages = install.home / "agents" / agent.name
            wanted = describe(agent, host.address, packages, token, authority).fingerprint
            (programs / f"facts-{host.address}-{agent.name}").write_text(f"deployed={wanted}\npython=3\nvenv=3\n")
        made.hosts.append(host)
        if not addresses:
            host.start()
    try:
        yield made
    finally:
        for host in made.hosts:
            host.stop()


def eventually(holds: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Wait until it holds."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.05)


def log_of(install: Install) -> str:
    return Path(install.home / "log").read_text()
