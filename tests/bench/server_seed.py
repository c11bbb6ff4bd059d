"""The inventory that the server's bench asks for: so many hosts, ten VMs on each, each with a nic and a root volume."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from sqlalchemy import insert

from management.server.clock import now
from management.server.database import Database
from management.server.models.hosts import ClusterVO, HostVO, ZoneVO
from management.server.models.identity import ADMIN_UUID, SessionVO
from management.server.models.networks import L2NetworkVO, L3NetworkVO
from management.server.models.vms import VmInstanceVO, VmNicVO
from management.server.models.volumes import VolumeVO

VMS_PER_HOST = 10
_HOSTS_PER_CLUSTER = 100


def uuid_of(kind: str, number: int) -> str:
    return uuid.uuid5(uuid.NAMESPACE_OID, f"{kind}-{number}").hex


def ip_of(number: int) -> str:
    return f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}"


def seed(database: Database, hosts: int) -> str:
    """Fill the inventory. Returns the uuid of a session."""
    zone, l2, l3, session_uuid = (uuid_of(kind, 0) for kind in ("zone", "l2", "l3", "session"))
    clusters = range(1 + (hosts - 1) // _HOSTS_PER_CLUSTER)
    vms = range(hosts * VMS_PER_HOST)
    rows: Sequence[tuple[type[Any], list[dict[str, Any]]]] = (
        (ZoneVO, [{"uuid": zone, "name": "zone-0"}]),
        (ClusterVO, [{"uuid": uuid_of("cluster", n), "name": f"cluster-{n}", "zoneUuid": zone} for n in clusters]),
        (HostVO, [_host(n, zone) for n in range(hosts)]),
        (L2NetworkVO, [{"uuid": l2, "name": "l2", "zoneUuid": zone, "physicalInterface": "eth0"}]),
        (L3NetworkVO, [{"uuid": l3, "name": "l3", "zoneUuid": zone, "l2NetworkUuid": l2}]),
        (VmInstanceVO, [_vm(n, zone, l3) for n in vms]),
        (VmNicVO, [_nic(n, l3) for n in vms]),
        (VolumeVO, [_volume(n) for n in vms]),
        (SessionVO, [_session(session_uuid)]),
    )
    with database.write() as session:
        for model, values in rows:
            session.execute(insert(model), values)
    return session_uuid


def _session(session_uuid: str) -> dict[str, Any]:
    moments = {"createDate": now(), "expiredDate": now() + timedelta(days=1)}
    return {"uuid": session_uuid, "accountUuid": ADMIN_UUID, **moments}


def _host(number: int, zone: str) -> dict[str, Any]:
    return {
        "uuid": uuid_of("host", number),
        "name": f"host-{number}",
        "zoneUuid": zone,
        "clusterUuid": uuid_of("cluster", number // _HOSTS_PER_CLUSTER),
        "managementIp": ip_of(number),
        "hypervisorType": "KVM",
        "state": "Maintenance",
        "status": "Connected",
        "username": "root",
        "sshPort": 22,
    }


def _vm(number: int, zone: str, l3: str) -> dict[str, Any]:
    host = number // VMS_PER_HOST
    return {
        "uuid": uuid_of("vm", number),
        "name": f"vm-{number}",
        "zoneUuid": zone,
        "clusterUuid": uuid_of("cluster", host // _HOSTS_PER_CLUSTER),
        "hostUuid": uuid_of("host", host),
        "rootVolumeUuid": uuid_of("volume", number),
        "defaultL3NetworkUuid": l3,
        "type": "UserVm",
        "memorySize": 1 << 30,
        "cpuNum": 1,
        "cpuSpeed": 1000,
        "state": "Running" if number % 3 else "Stopped",
    }


def _nic(number: int, l3: str) -> dict[str, Any]:
    mac = f"fa:16:3e:{number >> 16:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
    address = {"ip": ip_of(number), "netmask": "255.0.0.0", "gateway": "10.0.0.1", "mac": mac}
    owner = {"uuid": uuid_of("nic", number), "vmInstanceUuid": uuid_of("vm", number), "l3NetworkUuid": l3}
    return {**owner, **address, "deviceId": 0}


def _volume(number: int) -> dict[str, Any]:
    owner = {"uuid": uuid_of("volume", number), "vmInstanceUuid": uuid_of("vm", number)}
    return {**owner, "name": f"root-{number}", "type": "Root", "size": 1 << 30, "deviceId": 0, "status": "Ready"}
