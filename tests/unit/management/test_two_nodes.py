"""Two real servers on one PostgreSQL with simulated hosts: what they share out, and what is left when one is killed.

The tests run in this order: the last one kills a node.
"""

import os
import socket
import threading
import uuid
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from operator import itemgetter
from pathlib import Path
from typing import Any

import pytest

from management.server.shares import owner
from tests.unit.management.cloud import HEADER, Cloud, cloud, eventually
from tests.unit.management.nodes import (
    TAKEOVER_SECONDS,
    SharedInstall,
    accept,
    another,
    finished,
    on_postgresql,
    process,
    running_time,
)
from tests.unit.management.simulator import Address, Fault

ATTACH = f"{HEADER}.volume.APIAttachDataVolumeToVmMsg"
REBOOT = f"{HEADER}.vm.APIRebootVmInstanceMsg"
MOST_VOLUMES = 200


@dataclass
class Site:
    cloud: Cloud
    installs: list[SharedInstall]
    processes: list[Any] = field(default_factory=list)

    def sql(self, statement: str, *values: object) -> list[Any]:
        return self.installs[0].sql(statement, *values)

    def number_of(self, node: str) -> int:
        """Which of the two has this uuid."""
        ((port,),) = self.sql("select port from ManagementNodeVO where uuid = ?", node)
        return [install.port for install in self.installs].index(port)

    def runs_on(self, call: str) -> list[str]:
        """The node that runs the call, when it has begun."""
        asked = "select executor_id from dbos.workflow_status where workflow_uuid = ? and status = 'PENDING'"
        return [node for (node,) in self.sql(asked, call)]

    def owners(self) -> list[int]:
        """Which of the two nodes looks after each host."""
        nodes = [node for (node,) in self.sql("select uuid from ManagementNodeVO")]
        return [self.number_of(str(owner(self.cloud.uuids[f"host{n}"], nodes))) for n in range(len(self.cloud.hosts))]

    def settled(self) -> bool:
        connected = [bool(host.asked("/host/connect")) for host in self.cloud.hosts]
        states = {status for (status,) in self.sql("select status from HostEO")}
        return states == {"Connected"} and connected == [number == 1 for number in self.owners()]

    def pids(self) -> list[int]:
        return [server.pid for server in self.processes]

    def queue(self, vm: str) -> list[str]:
        """The nodes that work on the VM or wait for it, in order."""
        asked = "select managementNodeUuid from ResourceLockVO where name = ? order by ticket"
        return [node for (node,) in self.sql(asked, f"vm {vm}")]

    def volume(self) -> str:
        create = f"{HEADER}.volume.APICreateDataVolumeMsg"
        return self.cloud.make(create, name="data", diskOfferingUuid=self.cloud.uuids["disk"])


@pytest.fixture(scope="module")
def site(postgresql: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    first = on_postgresql(tmp_path_factory.mktemp("one"), postgresql.create(uuid.uuid4().hex))
    with cloud(first, 20_000 + os.getpid() % 5000) as made, process(first) as one:
        made.fill()
        made.uuids["disk"] = made.make(
            f"{HEADER}.configuration.APICreateDiskOfferingMsg", name="disk", diskSize=1 << 20
        )
        made.set("host", "ping.interval", "1")
        made.set("kvm", "dataVolume.maxNum", str(MOST_VOLUMES))
        for host in made.hosts:
            host.calls.clear()
        second = another(first, tmp_path_factory.mktemp("two"))
        with process(second) as two:
            found = Site(made, [first, second], [one, two])
            eventually(found.settled, "the second node has connected the hosts that it has taken over")
            yield found


def holder(caller: Address, called: Address, pids: list[int]) -> int:
    """Which of the processes has this connection."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        local, remote, inode = itemgetter(1, 2, 9)(line.split())
        if [local, remote] == [in_proc(caller), in_proc(called)]:
            return next(n for n, pid in enumerate(pids) if f"socket:[{inode}]" in open_files(pid))
    raise AssertionError(f"nobody is connected from {caller} to {called}")


def in_proc(address: Address) -> str:
    """As the kernel writes it."""
    host, port = address
    return f"{socket.inet_aton(host)[::-1].hex().upper()}:{port:04X}"


def open_files(pid: int) -> set[str]:
    found = set()
    with suppress(FileNotFoundError):  # the process was killed
        for link in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # it has just been closed
                found.add(str(link.readlink()))
    return found


def watch(site: Site) -> list[list[int]]:
    """For each host, which node each ping comes from, from now on."""
    seen: list[list[int]] = [[] for _ in site.cloud.hosts]
    for host, pings in zip(site.cloud.hosts, seen, strict=True):
        host.pinged = partial(note, site, pings)
    return seen


def note(site: Site, pings: list[int], caller: Address, called: Address) -> None:
    pings.append(holder(caller, called, site.pids()))


def beat(site: Site) -> None:
    """Wait until both nodes have said once more that they live."""
    before = beats(site)
    eventually(lambda: all(new != old for new, old in zip(beats(site), before, strict=True)), "both nodes live")


def beats(site: Site) -> list[Any]:
    return [row for (row,) in site.sql("select heartBeat from ManagementNodeVO order by port")]


def test_a_node_that_joins_takes_its_share_and_each_host_is_pinged_by_one_node(site: Site) -> None:
    assert site.settled(), "hosts that stayed with the first node were left alone"
    seen = watch(site)
    for _ in range(2):
        beat(site)  # every two seconds; they ping every second
    eventually(lambda: all(len(pings) >= 3 for pings in seen), "every host has been pinged")
    assert [set(pings) for pings in seen] == [{number} for number in site.owners()]


def begin_elsewhere(site: Site, vm: str, node: str) -> list[str]:
    """Have volumes attached to the VM until a node other than this one has begun with one; returns all the calls."""
    calls: list[str] = []
    while len(calls) < MOST_VOLUMES:
        fields = {"vmInstanceUuid": vm, "volumeUuid": site.volume(), "session": site.cloud.session}
        call = accept(site.installs[len(calls) % 2], ATTACH, **fields)
        assert call is not None
        calls.append(call)
        eventually(lambda: bool(site.runs_on(calls[-1])), "a node has taken the call")
        if site.runs_on(call) != [node]:
            return calls
    raise AssertionError("one node has taken all of them")


@dataclass
class Held:
    """A VM whose reboot does not end before `go_on` is set; calls to attach volumes to it wait on both nodes."""

    vm: str
    reboot: str
    node: str
    calls: list[str]
    go_on: threading.Event


def hold(site: Site) -> Held:
    vm = site.cloud.create_vm()["inventory"]
    host, go_on = site.cloud.host_of(vm), threading.Event()
    host.faults["/vm/reboot"] = Fault(until=go_on, times=1)
    reboot = accept(site.installs[0], REBOOT, uuid=vm["uuid"], session=site.cloud.session)
    assert reboot is not None
    eventually(lambda: host.asked("/vm/reboot") != [], "the reboot is under way")
    (node,) = site.runs_on(reboot)
    calls = begin_elsewhere(site, vm["uuid"], node)
    eventually(lambda: len(site.queue(vm["uuid"])) == 2, "the other node waits for the VM")
    assert site.queue(vm["uuid"])[0] == node
    assert host.asked("/vm/attachdatavolume") == [], "nobody else touches the VM meanwhile"
    return Held(vm["uuid"], reboot, node, calls, go_on)


def test_calls_on_one_vm_by_different_fields_never_overlap_on_two_nodes(site: Site) -> None:
    held = hold(site)
    host = site.cloud.host_of(site.cloud.row("vm", held.vm))
    host.faults["/vm/attachdatavolume"] = Fault(seconds=0.1)
    held.go_on.set()
    assert finished(site.installs[0], held.reboot)["success"]
    assert all(finished(site.installs[0], call)["success"] for call in held.calls)
    mine = "/vm/reboot", "/vm/attachdatavolume"
    spans = sorted((began, ended) for path, began, ended in host.spans if path in mine)
    assert len(spans) == 1 + len(held.calls)
    assert all(ended <= began for (_, ended), (began, _) in pairwise(spans))
    assert site.queue(held.vm) == []
    host.faults.clear()


def test_a_killed_node_s_locks_go_and_its_hosts_are_taken_over(site: Site) -> None:
    held = hold(site)
    victim = site.number_of(held.node)
    survivor = site.installs[1 - victim]
    waiting = [call for call in held.calls if site.runs_on(call) not in ([], [held.node])]
    assert waiting
    site.processes[victim].kill()
    site.processes[victim].wait()
    with running_time() as since:
        seen = watch(site)
        answers = [finished(survivor, call) for call in waiting]
        eventually(lambda: all(seen), "all hosts are looked after again")
        assert since() < TAKEOVER_SECONDS
    assert {number for pings in seen for number in pings} == {1 - victim}
    assert {answer["error"]["code"] for answer in answers} == {"VM.1010"}, "nobody knows what has become of the reboot"
    assert finished(survivor, held.reboot)["error"]["code"] == "SYS.1012"
    held.go_on.set()
