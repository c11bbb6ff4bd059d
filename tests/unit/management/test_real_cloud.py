"""The real server with real agents in a network of their own: only the way to deploy the agents is not real here."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from management.server.compute.imagestore import AGENT as STORAGE_AGENT
from tests.lab.namespaces import inside
from tests.unit.management.agent_rigs import RealRig
from tests.unit.management.cloud import HEADER, Cloud, cloud, eventually
from tests.unit.management.conftest import Install

SIZE = 3 << 20


@dataclass
class Real:
    """A cloud with one real host, and an image for it on a real backup storage."""

    cloud: Cloud
    host: RealRig
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


@pytest.fixture(scope="module")
def network() -> Iterator[None]:
    """A network namespace with a bridge, for everything here: tap devices disturb nobody."""
    with subprocess.Popen(
        ["unshare", "--net", "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with inside(holder.pid):
            for words in ("set lo up", "add br_eth0 type bridge", "set br_eth0 up"):
                subprocess.run(["ip", "link", *words.split()], check=True)
            yield
        holder.kill()


@pytest.fixture(scope="module")
def real(network: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Real]:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    with cloud(install, 1) as made:
        simulated = made.hosts[0]
        simulated.stop()
        host = RealRig("host", simulated.address, simulated.port, simulated.token)
        storage = RealRig("storage", simulated.address, STORAGE_AGENT.port, simulated.token)
        host.start()
        storage.start()
        for _ in install.serve():
            made.fill()
            made.install.sql("update PrimaryStorageEO set url = ?", str(host.root))
            imports = storage.folder / "imports"
            imports.mkdir()
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", imports / "disk.qcow2", str(SIZE)], check=True)
            where = [made.add_storage("bs", simulated.address, str(storage.root))]
            url = f"file://{imports}/disk.qcow2"
            image = made.make(f"{HEADER}.image.APIAddImageMsg", name="disk", url=url, backupStorageUuids=where)
            offering = f"{HEADER}.configuration.APICreateInstanceOfferingMsg"
            small = made.make(offering, name="tiny", cpuNum=1, cpuSpeed=10, memorySize=64 << 20)
            yield Real(made, host, storage, image, small)
        host.close()
        storage.close()


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
    assert len(list(Path(base).parent.glob("*.qcow2"))) == 3
    real.done("storage.snapshot.APIDeleteVolumeSnapshotMsg", uuid=second["uuid"])
    assert not real.host.has(second["primaryStorageInstallPath"]), "merged by the running VM"
    real.done("vm.APIStopVmInstanceMsg", uuid=vm["uuid"], timeout=12_000)
    assert real.running() == []
    assert tap not in links()
    real.done("storage.snapshot.APIDeleteVolumeSnapshotMsg", uuid=first["uuid"])
    assert [str(file) for file in Path(base).parent.glob("*.qcow2")] == [top], "merged by qemu-img"
    real.done("vm.APIStartVmInstanceMsg", uuid=vm["uuid"])
    assert real.running() == [vm["uuid"]]
    real.done("vm.APIDestroyVmInstanceMsg", uuid=vm["uuid"])
    real.done("vm.APIExpungeVmInstanceMsg", uuid=vm["uuid"])
    assert (real.running(), real.host.has(top), Path(top).parent.exists()) == ([], False, False)


def test_an_orphan_is_destroyed_when_its_host_is_back(real: Real) -> None:
    vm = real.create_vm()
    real.host.stop()
    real.done("vm.APIDestroyVmInstanceMsg", uuid=vm["uuid"])
    assert real.cloud.row("vm", vm["uuid"])["state"] == "Destroyed"
    (job,) = real.cloud.jobs("Idle")
    real.host.start()
    assert real.running() == [vm["uuid"]], "it outlived the agent"
    assert real.cloud.reconnect(0) == {"success": True}
    eventually(lambda: real.running() == [], "the orphan is destroyed")
    eventually(lambda: job["uuid"] in {each["uuid"] for each in real.cloud.jobs("Done")}, "the job is done")


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
