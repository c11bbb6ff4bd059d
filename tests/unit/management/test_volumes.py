"""Data volumes by themselves: a real server, simulated hosts, and what goes wrong on them."""

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.management.cloud import HEADER, PAST, TOO_LITTLE, Cloud, cloud, eventually
from tests.unit.management.conftest import Install
from tests.unit.management.simulator import Fault, Simulator
from tests.unit.management.test_timeouts import codes

VOLUME = f"{HEADER}.volume.API"
SIZE = 1 << 30


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    with cloud(install, 25_000 + os.getpid() % 5000) as made:
        for _ in install.serve():
            made.fill()
            offering = f"{HEADER}.configuration.APICreateDiskOfferingMsg"
            made.uuids["disk"] = made.make(offering, name="disk", diskSize=SIZE)
            yield made


@pytest.fixture(autouse=True)
def whole(site: Cloud) -> Iterator[None]:
    yield
    for number, host in enumerate(site.hosts):
        host.faults.clear()
        if host._server is None:
            host.start()
        if site.row("host", site.uuids[f"host{number}"])["status"] != "Connected":
            assert site.reconnect(number) == {"success": True}
    for (uuid,) in site.install.sql("select uuid from VmInstanceEO where deleted is null"):
        site.vm("Destroy", uuid)
        site.vm("Expunge", uuid)
    site.set("kvm", "dataVolume.maxNum", "24")


def create(site: Cloud) -> str:
    return site.make(f"{VOLUME}CreateDataVolumeMsg", name="data", diskOfferingUuid=site.uuids["disk"])


def attach(site: Cloud, vm: str, volume: str, **more: Any) -> dict[str, Any]:
    return site.call(f"{VOLUME}AttachDataVolumeToVmMsg", vmInstanceUuid=vm, volumeUuid=volume, **more)


def detach(site: Cloud, volume: str, **more: Any) -> dict[str, Any]:
    return site.call(f"{VOLUME}DetachDataVolumeFromVmMsg", uuid=volume, **more)


def delete(site: Cloud, volume: str, **more: Any) -> dict[str, Any]:
    return site.call(f"{VOLUME}DeleteDataVolumeMsg", uuid=volume, **more)


def running(site: Cloud) -> tuple[str, Simulator]:
    vm = site.create_vm()["inventory"]
    return vm["uuid"], site.host_of(vm)


def why(answer: dict[str, Any]) -> tuple[str, str]:
    return answer["error"]["code"], answer["error"]["details"]


def test_from_making_to_deleting(site: Cloud) -> None:
    vm, host = running(site)
    volume = create(site)
    row = site.row("volume", volume)
    assert (row["status"], row["type"], row["size"], row["state"]) == ("NotInstantiated", "Data", SIZE, "Enabled")
    assert "installPath" not in row

    attached = attach(site, vm, volume)["inventory"]
    assert (attached["status"], attached["deviceId"], attached["vmInstanceUuid"]) == ("Ready", 1, vm)
    path = attached["installPath"]
    assert (host.files[path], host.disks) == (SIZE, {vm: {volume}})
    (told,) = host.asked("/vm/attachdatavolume")
    assert (told["vmInstanceUuid"], told["volume"]["deviceId"], told["volume"]["installPath"]) == (vm, 1, path)

    detached = detach(site, volume)["inventory"]
    assert ("vmInstanceUuid" in detached, "deviceId" in detached, detached["status"]) == (False, False, "Ready")
    assert (host.disks[vm], path in host.files) == (set(), True)

    assert attach(site, vm, volume)["success"], "it goes back, with its data"
    assert len(host.asked("/localstorage/volume/createempty")) == 1
    assert delete(site, volume) == {"success": True}
    assert (host.disks[vm], path in host.files) == (set(), False)
    assert site.install.sql("select status, vmInstanceUuid from VolumeEO where uuid = ?", volume) == [("Deleted", None)]
    assert site.install.sql("select * from LocalStorageResourceRefVO where resourceUuid = ?", volume) == []


def test_a_stopped_vm_gets_it_when_it_starts(site: Cloud) -> None:
    vm, host = running(site)
    site.vm("Stop", vm)
    volume = create(site)
    assert attach(site, vm, volume)["inventory"]["status"] == "NotInstantiated"
    assert site.vm("Start", vm)["success"]
    started = host.asked("/vm/start")[-1]
    assert [disk["volumeUuid"] for disk in started["dataVolumes"]] == [volume]
    assert site.row("volume", volume)["status"] == "Ready"
    site.vm("Stop", vm)
    before = len(host.calls)
    assert detach(site, volume)["success"]
    assert len(host.calls) == before, "no agent is asked for a VM that does not run"


def test_what_is_refused(site: Cloud) -> None:
    vm, _ = running(site)
    root = site.row("vm", vm)["rootVolumeUuid"]
    volume, other = create(site), create(site)
    assert why(detach(site, volume)) == ("SYS.1006", f"data volume[uuid:{volume}] is attached to no VM")
    for answer in (attach(site, vm, root), detach(site, root)):
        assert ("root volume" in why(answer)[1], why(answer)[0]) == (True, "SYS.1006")
    assert codes(delete(site, root)["error"]) == ["SYS.1004", "SYS.1006"]
    assert attach(site, vm, volume)["success"]
    assert "attached to VM" in why(attach(site, vm, volume))[1]
    site.set("kvm", "dataVolume.maxNum", "1")
    assert "1 data volumes already" in why(attach(site, vm, other))[1]
    site.set("kvm", "dataVolume.maxNum", "2")
    assert site.call(f"{VOLUME}ChangeVolumeStateMsg", uuid=other, stateEvent="disable")["success"]
    assert "is Disabled" in why(attach(site, vm, other))[1]
    site.vm("Destroy", vm)
    assert why(attach(site, vm, create(site)))[0] == "VM.1010"


def test_it_lies_on_one_host_and_moves_with_its_vm(site: Cloud) -> None:
    vms = [running(site) for _ in range(2)]
    while vms[0][1] is vms[-1][1]:
        vms.append(running(site))
    (first, here), (second, there) = vms[0], vms[-1]
    volume = create(site)
    assert attach(site, first, volume)["success"]
    assert detach(site, volume)["success"]
    assert why(attach(site, second, volume))[0] == "SYS.1006"
    assert attach(site, first, volume)["success"]
    target = next(name for name in ("host0", "host1") if site.uuids[name] != site.row("vm", first)["hostUuid"])
    moved = site.call(f"{HEADER}.vm.APIMigrateVmMsg", vmInstanceUuid=first, hostUuid=site.uuids[target])
    assert moved["success"], moved
    assert detach(site, volume)["success"]
    assert attach(site, second, volume)["success"], "now it lies where the second VM is"
    before = len(there.asked("/localstorage/delete"))
    assert delete(site, volume)["success"]
    assert len(there.asked("/localstorage/delete")) == before + 1, "the host that has it deletes it"
    assert here is not there


def test_a_host_that_refuses_leaves_everything_as_it_was(site: Cloud) -> None:
    vm, host = running(site)
    volume = create(site)
    host.faults["/vm/attachdatavolume"] = Fault(refused="no slot", times=1)
    assert why(attach(site, vm, volume))[0] == "SYS.1006"
    assert "vmInstanceUuid" not in site.row("volume", volume)
    assert attach(site, vm, volume)["success"]
    host.faults["/vm/detachdatavolume"] = Fault(refused="busy", times=1)
    assert "busy" in why(detach(site, volume))[1]
    assert site.row("volume", volume)["vmInstanceUuid"] == vm


def test_a_file_that_could_not_be_made_binds_its_volume_to_no_host(site: Cloud) -> None:
    vm, host = running(site)
    volume = create(site)
    late, made = threading.Event(), threading.Event()
    host.faults["/localstorage/volume/createempty"] = Fault(until=late, times=1)
    host.faults["/localstorage/delete"] = Fault(until=made)

    def files() -> list[str]:
        return [path for path in list(host.files) if volume in path]

    assert codes(attach(site, vm, volume, timeout=TOO_LITTLE)["error"]) == ["SYS.1001"] * 2
    row = site.row("volume", volume)
    assert ("installPath" in row, "primaryStorageUuid" in row, row["status"]) == (False, False, "NotInstantiated")
    late.set()
    eventually(lambda: files() != [], "the file is made after all")
    made.set()
    eventually(lambda: not files() and not site.unfinished(), "it is collected")
    assert attach(site, vm, volume)["success"]
    path = site.row("volume", volume)["installPath"]
    site.install.sql("update GarbageCollectorVO set status = 'Idle', nextDate = ?", PAST)
    eventually(lambda: any("lies in" in job.get("lastError", "") for job in site.jobs()), "it is tried, and refused")
    assert path in host.files, "a file that is in use again is not collected"
    site.install.sql("delete from GarbageCollectorVO")


def test_a_late_attachment_is_taken_off_again(site: Cloud) -> None:
    vm, host = running(site)
    volume = create(site)
    late = threading.Event()
    host.faults["/vm/attachdatavolume"] = Fault(until=late, times=1)
    host.faults["/vm/detachdatavolume"] = Fault(refused="not yet")
    assert codes(attach(site, vm, volume, timeout=TOO_LITTLE)["error"]) == ["SYS.1001"] * 2
    assert "vmInstanceUuid" not in site.row("volume", volume)
    names = [job["name"] for job in site.jobs()]
    assert f"detach-volume-{vm}-{volume}" in names
    late.set()
    eventually(lambda: volume in host.disks.get(vm, ()), "the late attachment has happened")
    del host.faults["/vm/detachdatavolume"]
    site.collects(lambda: not site.unfinished(), "it is collected")
    assert host.disks[vm] == set()
    assert attach(site, vm, volume)["success"], "a later call works"


def test_a_late_detachment_is_finished_by_the_collection(site: Cloud) -> None:
    vm, host = running(site)
    volume = create(site)
    assert attach(site, vm, volume)["success"]
    late = threading.Event()
    host.callbacks.clear()
    host.faults["/vm/detachdatavolume"] = Fault(until=late, times=1)
    assert codes(detach(site, volume, timeout=TOO_LITTLE)["error"]) == ["SYS.1001"] * 2
    assert f"finish-detaching-{vm}-{volume}" in [job["name"] for job in site.jobs()]
    late.set()
    eventually(lambda: ("/vm/detachdatavolume", 404) in host.callbacks, "the late detachment has happened")
    eventually(lambda: "vmInstanceUuid" not in site.row("volume", volume), "it is finished")
    assert host.disks[vm] == set()
    site.install.sql("delete from GarbageCollectorVO")
    assert attach(site, vm, volume)["success"]
    assert detach(site, volume)["success"]
    assert site.jobs() == [], "what was done at once leaves no job"


def test_deleting_does_not_wait_for_a_lost_host(site: Cloud) -> None:
    vm, host = running(site)
    volume = create(site)
    path = attach(site, vm, volume)["inventory"]["installPath"]
    assert detach(site, volume)["success"]
    host.stop()
    assert delete(site, volume) == {"success": True}
    assert path in host.files
    host.start()
    assert site.reconnect(site.hosts.index(host)) == {"success": True}
    eventually(lambda: path not in host.files, "the file is collected")


def test_what_a_storage_that_is_deleted_takes_along(site: Cloud) -> None:
    message = "org.zstack.storage.primary.local.APIAddLocalPrimaryStorageMsg"
    storage = site.make(message, name="old", zoneUuid=site.uuids["zone"], url="/old")
    volume = create(site)
    site.install.sql("update VolumeEO set primaryStorageUuid = ?, status = 'Ready' where uuid = ?", storage, volume)
    before = sum(len(host.calls) for host in site.hosts)
    assert site.call(f"{HEADER}.storage.primary.APIDeletePrimaryStorageMsg", uuid=storage) == {"success": True}
    conditions = [{"name": "uuid", "op": "=", "value": volume}]
    assert site.call(f"{VOLUME}QueryVolumeMsg", conditions=conditions)["inventories"] == []
    assert sum(len(host.calls) for host in site.hosts) == before, "nobody deletes files on a storage that is gone"


def test_a_volume_outlives_its_offering(site: Cloud) -> None:
    offering = site.make(f"{HEADER}.configuration.APICreateDiskOfferingMsg", name="short", diskSize=SIZE)
    volume = site.make(f"{VOLUME}CreateDataVolumeMsg", name="data", diskOfferingUuid=offering)
    assert site.call(f"{HEADER}.configuration.APIDeleteDiskOfferingMsg", uuid=offering) == {"success": True}
    row = site.row("volume", volume)
    assert ("diskOfferingUuid" in row, row["size"]) == (False, SIZE)
