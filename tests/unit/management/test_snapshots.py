"""Snapshots of volumes: chains of files on simulated hosts, and what goes wrong with them."""

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.management.cloud import HEADER, TOO_LITTLE, Cloud, cloud
from tests.unit.management.conftest import Install
from tests.unit.management.simulator import Fault, Simulator
from tests.unit.management.test_timeouts import codes

TAKE = f"{HEADER}.volume.APICreateVolumeSnapshotMsg"
DELETE = f"{HEADER}.storage.snapshot.APIDeleteVolumeSnapshotMsg"
QUERY = f"{HEADER}.storage.snapshot.APIQueryVolumeSnapshotMsg"
MERGE, OFFLINE = "/vm/volume/mergesnapshot", "/localstorage/snapshot/offlinemerge"


@pytest.fixture(scope="module")
def cloud_(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    with cloud(install, 35_000 + os.getpid() % 5000) as made:
        for _ in install.serve():
            made.fill()
            yield made


@pytest.fixture
def site(cloud_: Cloud) -> Iterator[Cloud]:
    yield cloud_
    for number, host in enumerate(cloud_.hosts):
        host.faults.clear()
        if host._server is None:
            host.start()
        if cloud_.row("host", cloud_.uuids[f"host{number}"])["status"] != "Connected":
            assert cloud_.reconnect(number) == {"success": True}
    for (uuid,) in cloud_.install.sql("select uuid from VmInstanceEO where deleted is null"):
        cloud_.vm("Destroy", uuid)
        assert cloud_.vm("Expunge", uuid) == {"success": True}


@pytest.fixture
def disk(site: Cloud) -> tuple[str, str, Simulator]:
    """The root volume of a running VM, the VM, and its host."""
    vm = site.create_vm()["inventory"]
    return vm["rootVolumeUuid"], vm["uuid"], site.host_of(vm)


def rows(site: Cloud, volume: str) -> list[dict[str, Any]]:
    conditions = [{"name": "volumeUuid", "op": "=", "value": volume}]
    found: list[dict[str, Any]] = site.call(QUERY, conditions=conditions)["inventories"]
    return found


def take(site: Cloud, volume: str, **more: Any) -> dict[str, Any]:
    return site.call(TAKE, volumeUuid=volume, name="before the change", **more)


def path_of(site: Cloud, volume: str) -> str:
    return str(site.row("volume", volume)["installPath"])


def test_a_chain_grows_and_is_taken_down(site: Cloud, disk: tuple[str, str, Simulator]) -> None:
    volume, vm, host = disk
    base = path_of(site, volume)
    first = take(site, volume)["inventory"]
    assert (first["primaryStorageInstallPath"], first["status"], first["latest"]) == (base, "Ready", True)
    assert (first["volumeType"], first["size"], "parentUuid" in first) == ("Root", 100, False)
    middle = path_of(site, volume)
    assert middle != base
    second = take(site, volume)["inventory"]
    assert (second["primaryStorageInstallPath"], second["parentUuid"]) == (middle, first["uuid"])
    assert second["treeUuid"] == first["treeUuid"]
    assert [row["latest"] for row in rows(site, volume)] == [False, True]
    top = path_of(site, volume)
    assert {base, middle, top} <= set(host.files)

    assert site.call(DELETE, uuid=second["uuid"]) == {"success": True}
    (merged,) = host.asked(MERGE)
    assert (merged["srcPath"], merged["destPath"], merged["fullRebase"], merged["vmUuid"]) == (base, top, False, vm)
    assert (middle in host.files, [row["latest"] for row in rows(site, volume)]) == (False, [True])
    site.vm("Stop", vm)
    assert site.call(DELETE, uuid=first["uuid"]) == {"success": True}
    (merged,) = host.asked(OFFLINE)
    assert (merged["destPath"], merged["fullRebase"]) == (top, True)
    assert (base in host.files, top in host.files, rows(site, volume)) == (False, True, [])
    assert site.install.sql("select count(*) from VolumeSnapshotTreeEO where deleted is null") == [(0,)]
    assert site.vm("Start", vm)["success"]
    assert host.asked("/vm/start")[-1]["rootVolume"]["installPath"] == top


def test_later_snapshots_go_with_an_earlier_one(site: Cloud, disk: tuple[str, str, Simulator]) -> None:
    volume, _, host = disk
    made = [take(site, volume)["inventory"] for _ in range(3)]
    assert site.call(DELETE, uuid=made[1]["uuid"]) == {"success": True}
    assert [row["uuid"] for row in rows(site, volume)] == [made[0]["uuid"]]
    assert [row["latest"] for row in rows(site, volume)] == [True]
    left = {made[0]["primaryStorageInstallPath"], path_of(site, volume)}
    assert {path for path in host.files if volume in path} == left


def test_everything_goes_with_the_volume(site: Cloud, disk: tuple[str, str, Simulator]) -> None:
    volume, vm, host = disk
    for _ in range(2):
        assert take(site, volume)["success"]
    merges = len(host.asked(MERGE))
    site.vm("Destroy", vm)
    assert site.vm("Expunge", vm) == {"success": True}
    assert ([path for path in host.files if volume in path], rows(site, volume)) == ([], [])
    assert len(host.asked(MERGE)) == merges, "nothing is merged that goes anyway"


def test_a_host_that_refuses_leaves_no_half_snapshot(site: Cloud, disk: tuple[str, str, Simulator]) -> None:
    volume, _, host = disk
    before = path_of(site, volume)
    host.faults["/vm/volume/takesnapshot"] = Fault(refused="disk full", times=1)
    assert codes(take(site, volume)["error"]) == ["SYS.1006"]
    assert (path_of(site, volume), rows(site, volume)) == (before, [])
    made = take(site, volume)["inventory"]
    host.faults[MERGE] = Fault(refused="busy", times=1)
    assert codes(site.call(DELETE, uuid=made["uuid"])["error"]) == ["SYS.1004", "SYS.1006"]
    assert before in host.files, "the volume still needs it"
    assert [row["status"] for row in rows(site, volume)] == ["Ready"]


def test_a_late_snapshot_is_finished_by_the_collection(site: Cloud, disk: tuple[str, str, Simulator]) -> None:
    volume, vm, host = disk
    before = path_of(site, volume)
    late = threading.Event()
    host.faults["/vm/volume/takesnapshot"] = Fault(until=late, times=1, then=Fault(refused="not yet"))
    assert codes(take(site, volume, timeout=TOO_LITTLE)["error"]) == ["SYS.1001"] * 2
    (row,) = rows(site, volume)
    assert (row["status"], path_of(site, volume)) == ("Creating", before)
    assert codes(take(site, volume)["error"]) == ["SYS.1006"], "nobody knows which file is the volume's"
    late.set()
    host.faults.clear()
    site.collects(lambda: rows(site, volume)[0]["status"] == "Ready", "the job has asked again")
    assert path_of(site, volume).endswith(f"{row['uuid']}.qcow2")
    assert len([path for path in host.files if volume in path]) == 2
    assert site.vm("Stop", vm)["success"]
    assert site.vm("Start", vm)["success"]


def test_a_vm_with_snapshots_stays_on_its_host(site: Cloud, disk: tuple[str, str, Simulator]) -> None:
    volume, vm, _ = disk
    assert take(site, volume)["success"]
    error = site.call(f"{HEADER}.vm.APIMigrateVmMsg", vmInstanceUuid=vm)["error"]
    assert (codes(error), "snapshots" in error["cause"]["details"]) == (["HOST.1009", "SYS.1006"], True)


def test_what_has_no_file_has_no_snapshot(site: Cloud) -> None:
    offering = f"{HEADER}.configuration.APICreateDiskOfferingMsg"
    disk = site.make(offering, name="disk", diskSize=1 << 30)
    volume = site.make(f"{HEADER}.volume.APICreateDataVolumeMsg", name="data", diskOfferingUuid=disk)
    assert codes(take(site, volume)["error"]) == ["SYS.1006"]
