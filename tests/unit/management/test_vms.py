"""The life of VMs: a real server, simulated hosts, and what goes wrong on them."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.unit.management.cloud import HEADER, Cloud, cloud, eventually
from tests.unit.management.conftest import Install
from tests.unit.management.simulator import Fault

GIB = 1 << 30


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    with cloud(install, os.getpid() % 5000) as made:
        for _ in install.serve():
            made.fill()
            yield made


@pytest.fixture(autouse=True)
def whole(site: Cloud) -> Iterator[None]:
    """Every test finds both hosts connected and without faults."""
    for number, host in enumerate(site.hosts):
        host.faults.clear()
        host.calls.clear()
        host.callbacks.clear()
        if host._server is None:
            host.start()
        if site.row("host", site.uuids[f"host{number}"])["status"] != "Connected":
            assert site.reconnect(number) == {"success": True}
    yield
    for host in site.hosts:
        host.faults.clear()
    for (uuid,) in living(site):
        site.vm("Destroy", uuid)
        site.vm("Expunge", uuid)


def living(site: Cloud) -> list[Any]:
    return site.install.sql("select uuid from VmInstanceEO where deleted is null")


def free(site: Cloud) -> list[tuple[int, int]]:
    rows = [site.row("host", site.uuids[name]) for name in ("host0", "host1")]
    return [(row["availableCpuCapacity"], row["availableMemoryCapacity"]) for row in rows]


def test_from_making_to_expunging(site: Cloud) -> None:
    before = free(site)
    made = site.create_vm()
    assert made["success"], made
    vm = made["inventory"]
    assert (vm["state"], vm["platform"]) == ("Running", "Linux")
    (nic,) = vm["vmNics"]
    host = site.host_of(vm)
    assert host.vms == {vm["uuid"]: "Running"}
    (started,) = host.asked("/vm/start")
    assert started["nics"][0]["bridgeName"] == "br_eth0"
    assert started["nics"][0]["mac"] == nic["mac"]
    assert started["rootVolume"]["installPath"] in host.files
    assert sum(cpu for cpu, _ in free(site)) == sum(cpu for cpu, _ in before) - 1000
    assert sum(memory for _, memory in free(site)) == sum(memory for _, memory in before) - GIB

    assert site.vm("Reboot", vm["uuid"])["inventory"]["state"] == "Running"
    stopped = site.vm("Stop", vm["uuid"])["inventory"]
    assert (stopped["state"], "hostUuid" in stopped, stopped["lastHostUuid"]) == ("Stopped", False, vm["hostUuid"])
    assert free(site) == before
    assert site.vm("Reboot", vm["uuid"])["error"]["code"] == "VM.1010"
    again = site.vm("Start", vm["uuid"])["inventory"]
    assert again["hostUuid"] == vm["hostUuid"], "its volumes lie on that host"
    assert site.vm("Destroy", vm["uuid"]) == {"success": True}
    assert site.row("vm", vm["uuid"])["state"] == "Destroyed"
    assert host.vms == {}
    assert site.vm("Recover", vm["uuid"])["inventory"]["state"] == "Stopped"
    assert site.vm("Destroy", vm["uuid"]) == {"success": True}
    assert site.vm("Expunge", vm["uuid"]) == {"success": True}
    assert host.files == {}
    assert free(site) == before


def test_it_moves(site: Cloud) -> None:
    vm = site.create_vm()["inventory"]
    source = site.host_of(vm)
    target = next(host for host in site.hosts if host is not source)
    moved = site.call(f"{HEADER}.vm.APIMigrateVmMsg", vmInstanceUuid=vm["uuid"])["inventory"]
    assert (moved["state"], moved["hostUuid"] != vm["hostUuid"]) == ("Running", True)
    (asked,) = source.asked("/vm/migrate")
    assert (asked["srcHostIp"], asked["destHostIp"]) == (source.address, target.address)
    assert (source.vms, source.files) == ({}, {})
    assert (list(target.vms), len(target.files)) == ([vm["uuid"]], 1)


def test_what_stays_where_a_vm_was_is_collected(site: Cloud) -> None:
    vm = site.create_vm()["inventory"]
    source = site.host_of(vm)
    target = next(host for host in site.hosts if host is not source)
    source.faults["/localstorage/delete"] = Fault(refused="it is busy", times=1)
    moved = site.call(f"{HEADER}.vm.APIMigrateVmMsg", vmInstanceUuid=vm["uuid"])
    assert moved["success"], moved
    eventually(lambda: source.files == {}, "the files on the old host are collected")
    assert len(target.files) == 1


def test_a_refused_move_leaves_everything_as_it_was(site: Cloud) -> None:
    vm = site.create_vm()["inventory"]
    before = free(site)
    site.host_of(vm).faults["/vm/migrate"] = Fault(refused="no way")
    refused = site.call(f"{HEADER}.vm.APIMigrateVmMsg", vmInstanceUuid=vm["uuid"])
    assert (refused["error"]["code"], refused["error"]["cause"]["code"]) == ("HOST.1009", "SYS.1006")
    assert site.row("vm", vm["uuid"])["state"] == "Running"
    assert free(site) == before


@pytest.mark.parametrize("path", ["/localstorage/volume/createvolumefromcache", "/vm/start"])
def test_what_cannot_be_started_leaves_nothing(site: Cloud, path: str) -> None:
    before = free(site)
    for host in site.hosts:
        host.faults[path] = Fault(refused="the disk is full")
    failed = site.create_vm()
    assert failed["success"] is False
    assert "the disk is full" in str(failed["error"])
    assert free(site) == before
    assert [host.vms for host in site.hosts] == [{}, {}]
    assert [host.files for host in site.hosts] == [{}, {}]
    assert site.install.sql("select count(*) from UsedIpVO where l3NetworkUuid = ?", site.uuids["l3"]) == [(0,)]
    assert site.install.sql("select count(*) from VmInstanceEO where deleted is null and state != 'Destroyed'") == [
        (0,)
    ]


def test_a_result_that_is_told_twice_counts_once(site: Cloud) -> None:
    for host in site.hosts:
        host.faults["/vm/start"] = Fault(told=2)
    vm = site.create_vm()["inventory"]
    host = site.host_of(vm)
    told = [("/vm/start", 200), ("/vm/start", 404)]
    eventually(lambda: [each for each in host.callbacks if each[0] == "/vm/start"] == told, "the second is refused")
    assert site.row("vm", vm["uuid"])["state"] == "Running"


def test_an_agent_that_is_gone_in_the_middle(site: Cloud) -> None:
    vm = site.create_vm()["inventory"]
    host, number = site.host_of(vm), site.hosts.index(site.host_of(vm))
    host.stop()
    stopped = site.vm("Stop", vm["uuid"])
    assert (stopped["error"]["code"], stopped["error"]["cause"]["code"]) == ("HOST.1006", "SYS.1015")
    assert site.row("vm", vm["uuid"])["state"] == "Unknown"
    host.start()
    assert site.reconnect(number) == {"success": True}
    eventually(lambda: site.row("vm", vm["uuid"])["state"] == "Running", "its host says that it runs")


def test_vms_of_a_lost_host_are_unknown_until_it_is_back(site: Cloud) -> None:
    site.set("host", "ping.interval", "1")
    vm = site.create_vm()["inventory"]
    host = site.host_of(vm)
    host.stop()
    eventually(lambda: site.row("vm", vm["uuid"])["state"] == "Unknown", "the host is found to be lost")
    host.vms.clear()
    host.start()
    eventually(lambda: site.row("vm", vm["uuid"])["state"] == "Stopped", "its host says that it does not run")
    assert site.row("host", vm["hostUuid"])["status"] == "Connected"


def test_capacity_is_kept_when_a_host_is_connected_again(site: Cloud) -> None:
    vm = site.create_vm()["inventory"]
    before = free(site)
    assert site.reconnect(site.hosts.index(site.host_of(vm))) == {"success": True}
    assert free(site) == before


def test_calls_on_one_vm_take_turns(site: Cloud) -> None:
    vm = site.create_vm()["inventory"]
    for host in site.hosts:
        host.faults["/vm/stop"] = Fault(seconds=0.5)

    def stop(_number: int) -> Any:
        return site.vm("Stop", vm["uuid"])

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(stop, range(4)))
    assert sorted(answer["success"] for answer in answers) == [False, False, False, True]
    assert {answer["error"]["code"] for answer in answers if not answer["success"]} == {"VM.1010"}
    assert len(site.host_of(vm).asked("/vm/stop")) == 1
