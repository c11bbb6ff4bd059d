"""The real server with real agents: a VM from an image on a backup storage, a snapshot, an orphan that is collected."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.lab import Host, Lab
from tests.lab.cache import Cache
from tests.lab.image import trial_image
from tests.reference import sources
from tests.unit.management.conftest import Install

PASSWORD = "only for this test 5318"
HEADER, NETWORK = "org.zstack.header", "org.zstack.header.network"
PIP = Path("/usr/share/python-wheels")
QEMU = ("usr/share/qemu", "usr/share/seabios", "usr/lib/x86_64-linux-gnu/qemu")
SERIAL = """
import json, socket, sys
link = socket.socket(socket.AF_UNIX)
link.connect(sys.argv[1])
lines = link.makefile("rw")
lines.readline()
for command, arguments in (("qmp_capabilities", {}), ("ringbuf-read", {"device": "serial", "size": 65536})):
    lines.write(json.dumps({"execute": command, "arguments": arguments}) + "\\n")
    lines.flush()
    while "return" not in (answer := json.loads(lines.readline())):
        pass
print(answer["return"])
"""


@dataclass
class Site:
    """A server on the lab's network, a session, and a host that is also the backup storage."""

    install: Install
    host: Host
    session: dict[str, str]

    def call(self, message: str, /, **fields: Any) -> dict[str, Any]:
        answer = self.install.ask(self.session, message, **fields)
        assert answer["success"], answer
        return answer

    def make(self, message: str, /, **fields: Any) -> str:
        return str(self.call(message, **fields)["inventory"]["uuid"])

    def show(self, message: str, uuid: str) -> dict[str, Any]:
        (row,) = self.call(message, conditions=[{"name": "uuid", "op": "=", "value": uuid}])["inventories"]
        return dict(row)

    def machines(self) -> list[str]:
        """The VMs that run on the host, by its processes."""
        return self.host.sh("pgrep -af '^[^ ]*qemu-system' | sed 's/.* -name //; s/ .*//'", check=False).split()


def lay_qemu(host: Host, folder: Path) -> None:
    """Put this machine's QEMU on the host, which is made of the same distribution."""
    programs = [shutil.which(name) for name in ("qemu-system-x86_64", "qemu-img")]
    modules = [str(file) for file in Path("/", QEMU[2]).glob("accel-*.so")]
    linked = subprocess.run(["ldd", *map(str, programs), *modules], capture_output=True, text=True, check=True).stdout
    libraries = {line.split()[2] for line in linked.splitlines() if "=> /" in line}
    pack = folder / "qemu.tar"
    files = [str(name).lstrip("/") for name in (*programs, *sorted(libraries), *QEMU)]
    subprocess.run(["tar", "-C", "/", "--dereference", "-cf", str(pack), *files], check=True)
    host.put(pack, "/root/qemu.tar")
    host.sh("tar -C / --skip-old-files --keep-directory-symlink -xf /root/qemu.tar; rm /root/qemu.tar")


def build_agents(folder: Path, scratch: Path) -> None:
    """What a release brings for its agents: the wheel, pip, and requirements with digests."""
    tree = sources(scratch)
    for name in ("host", "storage"):
        target = folder / name
        build = [sys.executable, "-c", "from setuptools.build_meta import build_wheel as b; import sys; b(sys.argv[1])"]
        target.mkdir(parents=True)
        subprocess.run([*build, str(target)], cwd=tree / "agents" / name, check=True, capture_output=True)
        (wheel,) = target.glob("*.whl")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        version = wheel.name.split("-")[1]
        (target / "requirements.txt").write_text(f"sealift-{name}-agent=={version} --hash=sha256:{digest}\n")
        (pip,) = PIP.glob("pip-*.whl")
        shutil.copy(pip, target)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: paths of sockets in it have at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="vms-", dir="/var/tmp") as made:
        yield Path(made)


@pytest.fixture
def site(lab: Lab, folder: Path) -> Iterator[Site]:
    host = lab.boot("compute", root_password=PASSWORD)
    lay_qemu(host, folder)
    host.put(trial_image(Cache()), "/var/lib/sealift/images/trial.qcow2")
    host.sh("ip link add br_eth0 type bridge; ip link set br_eth0 up")
    with lab.inside():
        install = Install(folder / "i")
        with install.config.open("a") as config:
            config.write(f'listen_address = "{lab.controller}"\nmanagement_ip = "{lab.controller}"\n')
        build_agents(folder / "i" / "agents", folder / "tree")
        key = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(install.data / "keys" / "id_ed25519")]
        subprocess.run(key, check=True)
        install.prepare()
        assert install.run("make-certificates").returncode == 0
        for _ in install.serve():
            yield Site(install, host, install.log_in())
    lab.drop(host)


def test_a_vm_lives_on_a_real_host(site: Site) -> None:
    host = add_host(site)
    image = add_image(site)
    vm = site.call(f"{HEADER}.vm.APICreateVmInstanceMsg", name="vm", imageUuid=image, **shape(site))["inventory"]
    assert (vm["state"], vm["hostUuid"], site.machines()) == ("Running", host, [vm["uuid"]])
    volume, nic = vm["rootVolumeUuid"], vm["vmNics"][0]
    assert "br_eth0" in site.host.sh(f"ip link show vnic{nic['uuid'][:8]}.0")
    said = ""

    def has_booted() -> bool:
        nonlocal said
        said += serial(site, vm["uuid"])
        return "eth0" in said

    eventually(has_booted, "the guest has booted, and sees its nic")

    base = path_of(site, volume)
    snapshot = site.make(f"{HEADER}.volume.APICreateVolumeSnapshotMsg", name="before", volumeUuid=volume)
    top = path_of(site, volume)
    assert site.host.sh(f"qemu-img info -U {top} | grep '^backing file:'").split()[2] == base
    site.call(f"{HEADER}.storage.snapshot.APIDeleteVolumeSnapshotMsg", uuid=snapshot)
    assert not site.host.exists(base), "the guest goes on without it"
    assert site.machines() == [vm["uuid"]]

    # This guest does not listen to its power button: the call's time says how long it is waited for.
    site.call(f"{HEADER}.vm.APIStopVmInstanceMsg", uuid=vm["uuid"], timeout=20_000)
    assert site.machines() == []
    assert not site.host.exists(f"/sys/class/net/vnic{nic['uuid'][:8]}.0")
    site.call(f"{HEADER}.vm.APIStartVmInstanceMsg", uuid=vm["uuid"])
    assert site.machines() == [vm["uuid"]]

    # The scenario of the release note: a VM on a lost host is deleted at once, and its orphan when the host is back.
    site.host.sh("systemctl stop sealift-host-agent")
    assert site.machines() == [vm["uuid"]], "VMs outlive the agent"
    site.call(f"{HEADER}.vm.APIDestroyVmInstanceMsg", uuid=vm["uuid"])
    assert site.show(f"{HEADER}.vm.APIQueryVmInstanceMsg", vm["uuid"])["state"] == "Destroyed"
    assert site.machines() == [vm["uuid"]], "nobody could end it yet"
    site.host.sh("systemctl start sealift-host-agent")
    site.call(f"{HEADER}.host.APIReconnectHostMsg", uuid=host)
    eventually(lambda: site.machines() == [], "the orphan is destroyed")

    site.call(f"{HEADER}.vm.APIExpungeVmInstanceMsg", uuid=vm["uuid"])
    assert site.host.sh("find /zstack_ps/rootVolumes -type f") == ""
    site.call(f"{HEADER}.image.APIDeleteImageMsg", uuid=image)
    assert site.host.sh("find /zstack_bs -type f") == ""


def add_host(site: Site) -> str:
    """A zone with a cluster, its storage, and the host in it."""
    zone = site.make(f"{HEADER}.zone.APICreateZoneMsg", name="zone")
    cluster = site.make(f"{HEADER}.cluster.APICreateClusterMsg", name="c", zoneUuid=zone, hypervisorType="KVM")
    local = "org.zstack.storage.primary.local.APIAddLocalPrimaryStorageMsg"
    storage = site.make(local, name="local", url="/zstack_ps", zoneUuid=zone)
    attach = f"{HEADER}.storage.primary.APIAttachPrimaryStorageToClusterMsg"
    site.call(attach, primaryStorageUuid=storage, clusterUuid=cluster)
    l2 = site.make(f"{NETWORK}.l2.APICreateL2NoVlanNetworkMsg", name="l2", zoneUuid=zone, physicalInterface="eth0")
    site.call(f"{NETWORK}.l2.APIAttachL2NetworkToClusterMsg", l2NetworkUuid=l2, clusterUuid=cluster)
    access = {"managementIp": site.host.address, "username": "root", "password": PASSWORD}
    return site.make("org.zstack.kvm.APIAddKVMHostMsg", name="compute", clusterUuid=cluster, **access)


def add_image(site: Site) -> str:
    """The trial image, on a backup storage of the host's."""
    add = "org.zstack.storage.backup.sftp.APIAddSftpBackupStorageMsg"
    access = {"hostname": site.host.address, "username": "root", "password": PASSWORD}
    storage = site.call(add, name="bs", url="/zstack_bs", **access)["inventory"]
    assert storage["status"] == "Connected"
    assert storage["totalCapacity"] >= storage["availableCapacity"] > 0
    url, where = "file:///var/lib/sealift/images/trial.qcow2", [storage["uuid"]]
    return site.make(f"{HEADER}.image.APIAddImageMsg", name="trial", url=url, backupStorageUuids=where)


def shape(site: Site) -> dict[str, Any]:
    """An offering and a network for a VM."""
    (l2,) = site.call(f"{NETWORK}.l2.APIQueryL2NetworkMsg", conditions=[])["inventories"]
    l3 = site.make(f"{NETWORK}.l3.APICreateL3NetworkMsg", name="l3", l2NetworkUuid=l2["uuid"])
    addresses = {"startIp": "10.1.0.2", "endIp": "10.1.0.9", "netmask": "255.255.255.0", "gateway": "10.1.0.1"}
    site.call(f"{NETWORK}.l3.APIAddIpRangeMsg", name="range", l3NetworkUuid=l3, **addresses)
    offering = f"{HEADER}.configuration.APICreateInstanceOfferingMsg"
    small = site.make(offering, name="small", cpuNum=1, cpuSpeed=100, memorySize=192 << 20)
    return {"instanceOfferingUuid": small, "l3NetworkUuids": [l3]}


def path_of(site: Site, volume: str) -> str:
    return str(site.show(f"{HEADER}.volume.APIQueryVolumeMsg", volume)["installPath"])


def serial(site: Site, vm: str) -> str:
    """What the guest has said on its serial line since the last time."""
    return site.host.run(["python3", "-c", SERIAL, f"/var/lib/sealift-agents/host/vms/{vm}/qmp"]).stdout


def eventually(holds: Callable[[], bool], what: str, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"still not: {what}"
        time.sleep(0.3)
