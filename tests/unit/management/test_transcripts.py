"""Every transcript of the release note: its commands through the real shell give the same keys in the same order."""

import json
import time
from collections.abc import Collection, Iterator
from typing import Any

import pytest
from sqlalchemy.orm import Session

from management.server.clock import from_wire
from management.server.config import sqlite_url
from management.server.database import Database
from management.server.models.hosts import ClusterVO, HostVO, ZoneVO
from management.server.models.images import ImageVO
from management.server.models.networks import (
    IpRangeVO,
    L2NetworkVO,
    L3NetworkDnsVO,
    L3NetworkVO,
    NetworkServiceL3NetworkRefVO,
    NetworkServiceProviderL2NetworkRefVO,
    NetworkServiceProviderVO,
    NetworkServiceTypeVO,
)
from management.server.models.offerings import InstanceOfferingVO
from management.server.models.storage import PrimaryStorageVO
from management.server.models.vms import VirtualRouterVmVO, VmNicVO
from management.server.models.volumes import VolumeVO
from tests.unit.management.conftest import PASSWORD, Install
from tests.unit.management.deployed import CONSOLE, HOST, deployed, loopback
from tests.unit.management.transcripts import Exchange, load

QUERY_HOST = "org.zstack.header.host.APIQueryHostMsg"
QUERY_CONSOLE = "org.zstack.header.console.APIQueryConsoleProxyAgentMsg"
SWAP = load("network-service-swap")
LISTS = ("allVolumes", "attachedL2NetworkUuids", "dns", "ipRanges", "networkServices", "networkServiceTypes", "vmNics")


def answer(command: str) -> dict[str, Any]:
    """What the transcript shows of the first command that begins so."""
    return next(exchange.answer for exchange in SWAP if exchange.command.startswith(command))


def row(model: Any, shown: dict[str, Any], **columns: Any) -> Any:
    """A row that is shown like this, with columns that are not shown."""
    values = {name: value for name, value in shown.items() if name not in LISTS}
    values |= {name: from_wire(values[name]) for name in ("createDate", "lastOpDate") if name in values}
    return model(**(values | columns))


def fill(session: Session, addresses: dict[str, str]) -> None:
    """The cloud of the transcript, as it was before the first command."""
    detached = answer("DetachNetworkService")["inventory"]
    flat = answer("QueryNetworkServiceProvider")["inventories"][0]
    vm = answer("QueryVirtualRouterVm")["inventories"][0]
    hosts = answer("QueryHost")["inventories"]
    zone, l2, image = detached["zoneUuid"], detached["l2NetworkUuid"], vm["imageUuid"]
    storage = vm["allVolumes"][0]["primaryStorageUuid"]
    refs = answer("QueryNetworkServiceL3NetworkRef")["inventories"]
    router = refs[0]["networkServiceProviderUuid"]
    about = {"format": "qcow2", "mediaType": "RootVolumeTemplate", "platform": "Linux", "url": "file:///router.qcow2"}
    dates = {name: from_wire(detached[name]) for name in ("createDate", "lastOpDate")}
    layers: list[list[Any]] = [
        [
            ZoneVO(uuid=zone, name="zone"),
            ImageVO(uuid=image, name="router", state="Enabled", status="Ready", system=True, **about, **dates),
            InstanceOfferingVO(
                uuid=vm["instanceOfferingUuid"], name="router", cpuNum=1, cpuSpeed=2, memorySize=vm["memorySize"]
            ),
            NetworkServiceProviderVO(uuid=router, name="VirtualRouter", type="VirtualRouter"),
            row(NetworkServiceProviderVO, flat),
        ],
        [ClusterVO(uuid=uuid, name=uuid[:4], zoneUuid=zone) for uuid in {host["clusterUuid"] for host in hosts}],
        [row(HostVO, host, managementIp=addresses[host["name"]], sshPort=22) for host in hosts],
        [
            L2NetworkVO(uuid=l2, name="l2", zoneUuid=zone, physicalInterface="eth0"),
            *(NetworkServiceTypeVO(networkServiceProviderUuid=flat["uuid"], type=t) for t in ("DHCP", "Userdata")),
            *(NetworkServiceTypeVO(networkServiceProviderUuid=router, type=kind) for kind in ("DHCP", "DNS")),
            PrimaryStorageVO(uuid=storage, name="ps", zoneUuid=zone, url="/zstack_ps"),
        ],
        [
            NetworkServiceProviderL2NetworkRefVO(networkServiceProviderUuid=flat["uuid"], l2NetworkUuid=l2),
            row(L3NetworkVO, detached),
        ],
        [
            *(L3NetworkDnsVO(l3NetworkUuid=detached["uuid"], dns=dns) for dns in detached["dns"]),
            *(row(IpRangeVO, ip_range) for ip_range in detached["ipRanges"]),
            row(VirtualRouterVmVO, vm),
        ],
        [
            *(row(VolumeVO, volume) for volume in vm["allVolumes"]),
            *(row(VmNicVO, nic) for nic in vm["vmNics"]),
        ],
        *([row(NetworkServiceL3NetworkRefVO, ref)] for ref in refs),
    ]
    for layer in layers:
        session.add_all(layer)
        session.flush()


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A server that was given the transcript's cloud; its hosts and its console agent answer."""
    install = Install(tmp_path_factory.mktemp("cloud")).prepare()
    addresses, management = {"host1": loopback(), "host2": loopback()}, loopback()
    with install.config.open("a") as config:
        config.write(f'management_ip = "{management}"\nlisten_address = "{management}"\n')
    database = Database(sqlite_url(install.database))
    with database.write() as session:
        fill(session, addresses)
    database.close()
    agents: dict[str, Any] = {management: (CONSOLE, {"/ping": {}})}
    vm = answer("QueryVirtualRouterVm")["inventories"][0]
    for host in answer("QueryHost")["inventories"]:
        # The transcript asks for hosts after the VM was destroyed: before that, its host had so much less to give.
        runs_it = host["uuid"] == vm["hostUuid"]
        cpu, memory = host["totalCpuCapacity"], host["totalMemoryCapacity"]
        capacity = {
            "cpuNum": 1,
            "cpuSpeed": cpu,
            "usedCpu": cpu - host["availableCpuCapacity"] + runs_it * vm["cpuNum"] * vm["cpuSpeed"],
            "totalMemory": memory,
            "usedMemory": memory - host["availableMemoryCapacity"] + runs_it * vm["memorySize"],
        }
        answers: dict[str, Any] = {
            "/host/connect": {},
            "/host/echo": {},
            "/host/ping": {"hostUuid": host["uuid"]},
            "/host/capacity": capacity,
            "/vm/destroy": {},
            "/localstorage/delete": {},
        }
        agents[addresses[host["name"]]] = (HOST, answers)
    with deployed(install.home, agents) as environment:
        install.variables.update(environment)
        for server in install.serve():
            login = server.shell("LogInByAccount", "accountName=admin", stdin=PASSWORD + "\n")
            assert login.returncode == 0, login.stderr
            settled(server)
            yield server


def settled(server: Any) -> None:
    """Wait until the server has looked after its agents, as it does whenever it starts."""
    session, deadline = server.log_in(), time.monotonic() + 20
    while time.monotonic() < deadline:
        hosts, agents = (
            server.ask(session, message, conditions=[])["inventories"] for message in (QUERY_HOST, QUERY_CONSOLE)
        )
        if {row["status"] for row in (*hosts, *agents)} == {"Connected"}:
            return
        time.sleep(0.05)
    raise AssertionError((server.home / "log").read_text())


def replay(server: Any, exchanges: list[Exchange]) -> list[dict[str, Any]]:
    """Type the commands, one after the other, into one shell; the answers, their keys in the order printed."""
    done = server.shell(stdin="".join(f">>>{exchange.command}\n" for exchange in exchanges))
    assert (done.returncode, done.stderr) == (0, "")
    decoder, text, answers = json.JSONDecoder(), done.stdout, []
    while text:
        found, end = decoder.raw_decode(text)
        assert text[:end] == json.dumps(found, indent=4)
        text = text[end:].removeprefix("\n\n")
        answers.append(found)
    assert len(answers) == len(exchanges)
    return answers


def without(keys: Collection[str], value: Any) -> Any:
    """`value` with the type in place of what stands under these keys: no two installs have the same there."""
    if isinstance(value, list):
        return [without(keys, inner) for inner in value]
    if not isinstance(value, dict):
        return value
    return {key: type(inner).__name__ if key in keys else without(keys, inner) for key, inner in value.items()}


def printed(exchange: Exchange, value: dict[str, Any]) -> str:
    """As text, so that the order of keys counts. A host's address is its own, and it was just connected."""
    of_this_install = ("lastOpDate", "managementIp") if exchange.command == "QueryHost" else ()
    return json.dumps(without(of_this_install, value), indent=4)


def test_the_swap_of_the_network_service(cloud: Any) -> None:
    for exchange, found in zip(SWAP, replay(cloud, SWAP), strict=True):
        assert printed(exchange, found) == printed(exchange, exchange.answer), exchange.command
    session = cloud.log_in()
    left = cloud.ask(session, "org.zstack.network.service.virtualrouter.APIQueryVirtualRouterVmMsg", conditions=[])
    assert left["inventories"] == []


def test_the_console_agent(cloud: Any) -> None:
    exchanges = load("console-agent")
    theirs = exchanges[0].answer["inventories"][0]["uuid"]
    answers = replay(cloud, exchanges)
    ours = answers[0]["inventories"][0]["uuid"]
    changing = ("createDate", "lastOpDate", "managementIp")
    for exchange, found in zip(exchanges, answers, strict=True):
        shown, wanted = (json.dumps(without(changing, value), indent=4) for value in (found, exchange.answer))
        assert shown.replace(ours, theirs) == wanted, exchange.command
