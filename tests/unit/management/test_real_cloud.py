"""The real server with real agents in a network of their own: only the way to deploy the agents is not real here."""

import json
import random
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from management.server.certificates import Certificates
from management.server.compute.imagestore import AGENT as STORAGE_AGENT
from tests.lab.namespaces import in_network, inside
from tests.unit.management.agent_rigs import RealRig
from tests.unit.management.cloud import HEADER, Cloud, cloud, eventually
from tests.unit.management.conftest import Install

MIB = 1 << 20
SIZE = 3 * MIB
FILLING = random.Random(5).randbytes(SIZE - MIB)
RING = {"device": "serial", "size": 1 << 16}
ADDRESSES = ("10.71.0.1", "10.71.0.2")


GUEST = bytes.fromhex(
    # Set segments and stack, remember the drive, begin to count at 0, and say `!`.
    "31c08ed88ec08ed0bc007c30f68916047e66c706007e00000000b021e83700"
    # Count, and say the number in 8 hexadecimal digits and a new line.
    "66ff06007e668b1e007eb9080066c1c30488d8240f3c0a1c692fe81a00e2eeb00ae81300"
    # Write it to the disk's second sector, wait for the next tick of the clock, and go on.
    "b80103bb007eb902008b16047ecd13fbf4ebc9"
    # Put a character on the serial line.
    "88c4bafd03eca82074f888e0baf803eec3"
)
"""What the BIOS starts: it counts 18 times a second, in its memory, on its disk, and on its serial line."""


@dataclass
class Real:
    """A cloud with two real hosts, and an image for them on a real backup storage. VMs are made on the first."""

    cloud: Cloud
    host: RealRig
    other: RealRig
    storage: RealRig
    image: str
    offering: str

    def create_vm(self) -> dict[str, Any]:
        uuids = self.cloud.uuids
        wanted = {"instanceOfferingUuid": self.offering, "imageUuid": self.image, "hostUuid": uuids["host0"]}
        made = self.cloud.call(f"{HEADER}.vm.APICreateVmInstanceMsg", name="vm", l3NetworkUuids=[uuids["l3"]], **wanted)
        assert made["success"], made
        return dict(made["inventory"])

    def done(self, message: str, /, **fields: Any) -> dict[str, Any]:
        answer = self.cloud.call(f"{HEADER}.{message}", **fields)
        assert answer["success"], answer
        return answer

    def running(self) -> list[str]:
        return list(self.host.client.call("/vm/vmsync")["states"])

    def path_of(self, volume: str) -> str:
        return str(self.cloud.row("volume", volume)["installPath"])


@contextmanager
def network() -> Iterator[int]:
    """A network namespace with a bridge, where tap devices disturb nobody: a process that is in it."""
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        for words in ("set lo up", "add br_eth0 type bridge", "set br_eth0 up"):
            in_network(holder.pid, ["ip", "link", *words.split()])
        try:
            yield holder.pid
        finally:
            holder.kill()


@pytest.fixture(scope="module")
def networks() -> Iterator[tuple[int, int]]:
    """The networks of two hosts, which reach each other; everything here is in the first."""
    with network() as first, network() as second:
        in_network(first, ["ip", "link", "add", "mgmt0", "type", "veth", "peer", "name", "mgmt0", "netns", str(second)])
        for pid, address in zip((first, second), ADDRESSES, strict=True):
            in_network(pid, ["ip", "address", "add", f"{address}/24", "dev", "mgmt0"])
            in_network(pid, ["ip", "link", "set", "mgmt0", "up"])
        with inside(first):
            yield first, second


@pytest.fixture(scope="module")
def real(networks: tuple[int, int], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    install = Install(tmp_path_factory.mktemp("cloud"))
    with install.config.open("a") as config:
        config.write(f'listen_address = "{ADDRESSES[0]}"\nmanagement_ip = "{ADDRESSES[0]}"\n')
    install.prepare()
    with (
        cloud(install, 1, ADDRESSES) as made,
        tempfile.TemporaryDirectory(prefix="cluster-", dir="/var/tmp") as root,
        ExitStack() as stack,
    ):
        hosts = [RealRig("host", each.address, each.port, each.token, Path(root)) for each in made.hosts]
        storage = RealRig("storage", ADDRESSES[0], STORAGE_AGENT.port, made.hosts[0].token)
        for rig, pid in zip((*hosts, storage), (*networks, networks[0]), strict=True):
            rig.network = pid
            shutil.copy(Certificates(install.data / "tls").authority, rig.folder / "ca.pem")
            stack.callback(rig.close)
            rig.start()
        for _ in install.serve():
            made.fill()
            # Hosts are connected again when a test says so.
            made.set("host", "connection.autoReconnectOnError", "false")
            made.install.sql("update PrimaryStorageEO set url = ?", root)
            imports = storage.folder / "imports"
            imports.mkdir()
            (imports / "raw").write_bytes(GUEST.ljust(510, b"\0") + b"\x55\xaa" + bytes(MIB - 512) + FILLING)
            convert = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2"]
            subprocess.run([*convert, imports / "raw", imports / "disk.qcow2"], check=True)
            where = [made.add_storage("bs", ADDRESSES[0], str(storage.root))]
            url = f"file://{imports}/disk.qcow2"
            image = made.make(f"{HEADER}.image.APIAddImageMsg", name="disk", url=url, backupStorageUuids=where)
            offering = f"{HEADER}.configuration.APICreateInstanceOfferingMsg"
            small = made.make(offering, name="tiny", cpuNum=1, cpuSpeed=10, memorySize=64 << 20)
            yield Real(made, hosts[0], hosts[1], storage, image, small)


def links(*words: str) -> str:
    """The network devices of this network."""
    return subprocess.run(["ip", "link", "show", *words], check=True, capture_output=True, text=True).stdout


def test_a_vm_and_its_snapshots(real: Real) -> None:
    vm = real.create_vm()
    assert (vm["state"], real.running()) == ("Running", [vm["uuid"]])
    tap = f"vnic{vm['vmNics'][0]['uuid'][:8]}.0"
    assert "master br_eth0" in links(tap)
    volume = vm["rootVolumeUuid"]
    base = real.path_of(volume)
    first, second = (
        real.done("volume.APICreateVolumeSnapshotMsg", name="s", volumeUuid=volume)["inventory"] for _ in range(2)
    )
    top = real.path_of(volume)
    assert first["primaryStorageInstallPath"] == base
    assert len(list(real.host.file(base).parent.glob("*.qcow2"))) == 3
    real.done("storage.snapshot.APIDeleteVolumeSnapshotMsg", uuid=second["uuid"])
    assert not real.host.has(second["primaryStorageInstallPath"]), "merged by the running VM"
    real.done("vm.APIStopVmInstanceMsg", uuid=vm["uuid"], timeout=12_000)
    assert real.running() == []
    assert tap not in links()
    real.done("storage.snapshot.APIDeleteVolumeSnapshotMsg", uuid=first["uuid"])
    assert [*real.host.file(base).parent.glob("*.qcow2")] == [real.host.file(top)], "merged by qemu-img"
    real.done("vm.APIStartVmInstanceMsg", uuid=vm["uuid"])
    assert real.running() == [vm["uuid"]]
    real.done("vm.APIDestroyVmInstanceMsg", uuid=vm["uuid"])
    real.done("vm.APIExpungeVmInstanceMsg", uuid=vm["uuid"])
    assert (real.running(), real.host.has(top), real.host.file(top).parent.exists()) == ([], False, False)


def test_an_orphan_is_destroyed_when_its_host_is_back(real: Real) -> None:
    vm = real.create_vm()
    real.host.stop()
    real.done("vm.APIDestroyVmInstanceMsg", uuid=vm["uuid"])
    assert real.cloud.row("vm", vm["uuid"])["state"] == "Destroyed"
    assert len(real.cloud.unfinished()) == 1
    eventually(real.cloud.hold_back, "no job is being tried")
    real.host.start()
    assert real.running() == [vm["uuid"]], "it outlived the agent"
    assert real.cloud.reconnect(0) == {"success": True}
    eventually(lambda: real.running() == [], "the orphan is destroyed")
    eventually(lambda: real.cloud.unfinished() == [], "the job is done")


def said(host: RealRig, vm: str) -> str:
    """What the guest has said on its serial line since it was asked for last."""
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(host.folder / "state" / "vms" / vm / "qmp"))
        lines = link.makefile("rw")
        for command in ({"execute": "qmp_capabilities"}, {"execute": "ringbuf-read", "arguments": RING}):
            lines.write(json.dumps(command) + "\n")
            lines.flush()
            while "return" not in (answer := json.loads(lines.readline())):
                pass
    return str(answer["return"])


def counted(host: RealRig, vm: str) -> list[int]:
    """Some numbers that the guest says on this host, without those that it has not said there in full."""
    heard: list[str] = []

    def whole() -> list[str]:
        return "".join(heard).split("\n")[1:-1]

    def some() -> bool:
        heard.append(said(host, vm))
        return len(whole()) > 3

    eventually(some, "the guest counts")
    return [int(line, 16) for line in whole()]


def test_a_guest_that_runs_moves_and_does_not_notice(real: Real) -> None:
    vm = real.create_vm()
    disk = real.cloud.make(f"{HEADER}.configuration.APICreateDiskOfferingMsg", name="disk", diskSize=SIZE)
    data = real.cloud.make(f"{HEADER}.volume.APICreateDataVolumeMsg", name="data", diskOfferingUuid=disk)
    real.done("volume.APIAttachDataVolumeToVmMsg", vmInstanceUuid=vm["uuid"], volumeUuid=data)
    root, other = (real.path_of(each) for each in (vm["rootVolumeUuid"], data))
    tap = f"vnic{vm['vmNics'][0]['uuid'][:8]}.0"
    before = counted(real.host, vm["uuid"])
    moved = real.done("vm.APIMigrateVmMsg", vmInstanceUuid=vm["uuid"])["inventory"]
    assert (moved["state"], moved["hostUuid"]) == ("Running", real.cloud.uuids["host1"])
    after = counted(real.other, vm["uuid"])
    assert after == list(range(after[0], after[0] + len(after)))
    assert after[0] > before[-1], "it was not started again"
    assert (real.running(), tap in links()) == ([], False)
    assert "master br_eth0" in in_network(real.other.network or 0, ["ip", "link", "show", tap]).stdout
    assert [host.has(path) for host in (real.host, real.other) for path in (root, other)] == [False] * 2 + [True] * 2
    real.done("vm.APIStopVmInstanceMsg", uuid=vm["uuid"], timeout=12_000)
    raw = real.storage.folder / "raw"
    subprocess.run(["qemu-img", "convert", "-O", "raw", real.other.file(root), raw], check=True)
    content = raw.read_bytes()
    assert (content[: len(GUEST)], content[MIB:]) == (GUEST, FILLING)
    assert int.from_bytes(content[512:516], "little") >= after[-1], "it wrote on, to the disk that moved with it"
    real.done("vm.APIDestroyVmInstanceMsg", uuid=vm["uuid"])
    real.done("vm.APIExpungeVmInstanceMsg", uuid=vm["uuid"])
    real.done("volume.APIDeleteDataVolumeMsg", uuid=data)
    assert not real.other.has(root) and not real.other.has(other)


def test_data_volumes_and_images_come_and_go(real: Real) -> None:
    vm = real.create_vm()
    disk = real.cloud.make(f"{HEADER}.configuration.APICreateDiskOfferingMsg", name="disk", diskSize=SIZE)
    volume = real.cloud.make(f"{HEADER}.volume.APICreateDataVolumeMsg", name="data", diskOfferingUuid=disk)
    real.done("volume.APIAttachDataVolumeToVmMsg", vmInstanceUuid=vm["uuid"], volumeUuid=volume)
    path = real.path_of(volume)
    assert real.host.has(path)
    real.done("vm.APIStopVmInstanceMsg", uuid=vm["uuid"], timeout=12_000)
    real.done("vm.APIStartVmInstanceMsg", uuid=vm["uuid"])
    real.done("vm.APIDestroyVmInstanceMsg", uuid=vm["uuid"])
    real.done("vm.APIExpungeVmInstanceMsg", uuid=vm["uuid"])
    real.done("volume.APIDeleteDataVolumeMsg", uuid=volume)
    assert not real.host.has(path)
    real.done("image.APIDeleteImageMsg", uuid=real.image)
    assert list(real.storage.root.rglob("*.template")) == []
