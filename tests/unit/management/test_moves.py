"""Moving running VMs between hosts, kept by simulated agents and by real ones alike."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.unit.management.agent_rigs import RIGS, Rig, pair
from tests.unit.management.simulator import Body
from tests.unit.management.test_agent_contract import (
    DELETE,
    DONE,
    MEMORY,
    make_volume,
    refused,
    run_vm,
    running,
    start,
    volume,
)

Pair = tuple[Rig, Rig]


@pytest.fixture(params=RIGS)
def hosts(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with pair(RIGS[request.param]) as made:
        yield made


def machine(vm: str, root: str, *data: str) -> Body:
    """The VM as the server tells it."""
    disks: Body = {"rootVolume": volume(root), "dataVolumes": [volume(each) for each in data]}
    return {"vmInstanceUuid": vm, "memory": MEMORY, "cpuNum": 1, "nics": [], **disks}


def move(source: Rig, target: Rig, told: Body, **more: Any) -> Body:
    addresses = {"srcHostIp": source.client.address, "destHostIp": target.client.address}
    body = {"vmUuid": told["vmInstanceUuid"], "storageMigrationPolicy": "FullCopy", **addresses, "vm": told, **more}
    return source.call("/vm/migrate", **body)


def state(host: Rig, vm: str) -> str:
    return str(host.call("/vm/checkstate", vmUuids=[vm])["states"][vm])


def test_a_running_vm_moves_there_and_back(hosts: Pair) -> None:
    source, target = hosts
    root, data = make_volume(source), make_volume(source, "data")
    vm = run_vm(source, root)
    assert source.call("/vm/attachdatavolume", vmInstanceUuid=vm, volume=volume(data)) == DONE
    assert move(source, target, machine(vm, root, data)) == DONE
    assert (running(source), running(target)) == ({}, {vm: "Running"})
    assert target.has(root) and target.has(data)
    assert refused(move(source, target, machine(vm, root, data))), "it is not there any more"
    for path in (root, data):
        assert source.call(DELETE, path=path) == DONE
    assert move(target, source, machine(vm, root, data)) == DONE
    assert (running(source), running(target)) == ({vm: "Running"}, {})
    assert source.call("/vm/reboot", uuid=vm, timeout=0) == DONE


def test_a_vm_that_cannot_move_goes_on_where_it_is(hosts: Pair) -> None:
    source, target = hosts
    root = make_volume(source)
    vm = run_vm(source, root)
    told = machine(vm, root)
    assert refused(move(source, target, machine(vm, source.volume()))), "another disk"
    assert refused(move(source, target, machine(run_vm(target, make_volume(target)), root), vmUuid=vm)), "another VM"
    assert refused(move(source, target, told, storageMigrationPolicy="IncCopy"))
    assert target.call("/localstorage/volume/createempty", installUrl=root, size=1) == DONE
    assert refused(move(source, target, told)), "its file is there already"
    assert target.has(root), "it is not ours"
    assert target.call(DELETE, path=root) == DONE
    target.stop()
    assert refused(move(source, target, told)), "nobody is there"
    target.start()
    assert (state(source, vm), state(target, vm), target.has(root)) == ("Running", "Shutdown", False)
    assert move(source, target, told) == DONE


def test_only_a_vm_that_has_come_is_taken_over(hosts: Pair) -> None:
    source, target = hosts
    root = make_volume(source)
    vm = run_vm(source, root)
    assert refused(target.call("/vm/takeover", vmUuid=vm))
    assert target.call("/vm/release", vmUuid=vm) == DONE, "nothing waits for it"
    assert refused(target.call("/vm/resume", vmUuid=vm))
    assert source.call("/vm/resume", vmUuid=vm) == DONE, "it goes on already"
    assert move(source, target, machine(vm, root)) == DONE
    assert target.call("/vm/takeover", vmUuid=vm) == DONE, "asked again, it is the same"
    assert refused(target.call("/vm/release", vmUuid=vm)), "it runs"
    assert running(target) == {vm: "Running"}
    assert refused(source.call("/vm/resume", vmUuid=vm)), "it is not there any more"


def test_a_vm_that_was_moved_is_one_like_any_other(hosts: Pair) -> None:
    source, target = hosts
    root = make_volume(source)
    vm = run_vm(source, root)
    assert move(source, target, machine(vm, root)) == DONE
    target.stop()
    target.start()
    assert running(target) == {vm: "Running"}
    assert target.call("/vm/stop", uuid=vm, timeout=0) == DONE
    assert start(target, root, vm)[1] == DONE
    assert target.call("/vm/destroy", uuid=vm) == DONE
    assert target.has(root), "its volumes are another matter"
