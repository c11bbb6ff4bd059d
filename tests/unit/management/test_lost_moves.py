"""Moves that are cut off: whoever is gone in the middle, one host has the VM in the end, and the other nothing."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import suppress

import httpx
import pytest

from tests.unit.management.cloud import HEADER, Cloud, cloud, eventually
from tests.unit.management.conftest import Install
from tests.unit.management.nodes import process
from tests.unit.management.simulator import Body, Fault, Simulator


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    with cloud(install, 5_000 + os.getpid() % 5000) as made:
        for _ in install.serve():
            made.fill()
            yield made


def prepared(site: Cloud) -> tuple[str, Simulator, Simulator]:
    """A VM that runs, its host, and the other host."""
    vm = site.create_vm()["inventory"]
    source = site.host_of(vm)
    return vm["uuid"], source, next(host for host in site.hosts if host is not source)


def move(site: Cloud, vm: str, **more: int) -> Body:
    return site.call(f"{HEADER}.vm.APIMigrateVmMsg", vmInstanceUuid=vm, **more)


def back(site: Cloud, host: Simulator) -> None:
    host.start()
    assert site.reconnect(site.hosts.index(host)) == {"success": True}


def settles(site: Cloud, vm: str, there: Simulator, gone: Simulator) -> None:
    """It runs `there` alone in the end, and the database says so."""
    eventually(lambda: site.row("vm", vm)["state"] == "Running", "it is known where it runs")
    assert site.host_of(site.row("vm", vm)) is there
    eventually(lambda: (vm in gone.vms, gone.files) == (False, {}), "nothing is left on the other host")
    assert (there.vms, len(there.files), there.arriving) == ({vm: "Running"}, 1, {})
    assert site.vm("Reboot", vm)["success"]
    assert site.vm("Destroy", vm) == site.vm("Expunge", vm) == {"success": True}
    assert (there.vms, there.files) == ({}, {})


def test_the_target_goes_on_and_does_not_say_so(site: Cloud) -> None:
    vm, source, target = prepared(site)
    target.faults["/vm/takeover"] = Fault(middle=True, times=1)
    error = move(site, vm)["error"]
    assert (error["code"], "nobody knows" in str(error)) == ("HOST.1009", True)
    assert (site.row("vm", vm)["state"], source.vms, target.vms) == ("Unknown", {vm: "Paused"}, {vm: "Running"})
    back(site, target)
    settles(site, vm, target, source)


def test_the_target_is_gone_before_it_goes_on(site: Cloud) -> None:
    vm, source, target = prepared(site)
    target.faults["/vm/takeover"] = Fault(refused="never", middle=True, times=1)
    assert move(site, vm)["error"]["code"] == "HOST.1009"
    assert (site.row("vm", vm)["state"], source.vms, target.vms) == ("Unknown", {vm: "Paused"}, {})
    back(site, target)
    settles(site, vm, source, target)


@pytest.mark.parametrize("refused", [None, "never"])
def test_the_source_is_gone_in_the_middle(site: Cloud, refused: str | None) -> None:
    vm, source, target = prepared(site)
    source.calls.clear()
    source.faults["/vm/migrate"] = Fault(refused=refused, middle=True, times=1)
    milliseconds = 1000
    while not source.asked("/vm/migrate"):
        # Nobody will tell the result. A slow machine needs more of the time that is waited for it to get that far.
        eventually(lambda: site.row("vm", vm)["state"] == "Running", "it runs")
        assert move(site, vm, timeout=milliseconds)["error"]["code"] == "SYS.1001"
        milliseconds *= 2
    assert site.row("vm", vm)["state"] == "Unknown"
    back(site, source)
    settles(site, vm, *((source, target) if refused else (target, source)))


def test_a_target_that_refuses_leaves_everything_as_it_was(site: Cloud) -> None:
    vm, source, target = prepared(site)
    target.faults["/vm/takeover"] = Fault(refused="no", times=1)
    assert move(site, vm)["error"]["code"] == "HOST.1009"
    assert site.row("vm", vm)["state"] == "Running"
    target._vm_release({"vmUuid": vm})
    settles(site, vm, source, target)


def test_the_server_is_killed_in_the_middle(tmp_path_factory: pytest.TempPathFactory) -> None:
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    with cloud(install, 15_000 + os.getpid() % 5000) as site:
        with process(install) as server:
            site.fill()
            vm, source, target = prepared(site)
            go_on = threading.Event()
            source.faults["/vm/migrate"] = Fault(until=go_on, times=1)
            caller = threading.Thread(target=ask_in_vain, args=(site, vm))
            caller.start()
            eventually(lambda: bool(source.asked("/vm/migrate")), "the source is asked")
            server.send_signal(signal.SIGKILL)
            server.wait()
            caller.join()
            go_on.set()
        eventually(lambda: vm in target.vms, "the hosts move it without the server")
        with process(install):
            settles(site, vm, target, source)


def ask_in_vain(site: Cloud, vm: str) -> None:
    with suppress(httpx.TransportError):
        move(site, vm)
