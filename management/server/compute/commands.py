"""What the host's agent is told: bodies of calls, made from rows. Pure."""

from collections.abc import Sequence
from typing import Any

from management.server.models.vms import VmInstanceVO, VmNicVO
from management.server.models.volumes import VolumeVO


def volume(row: VolumeVO) -> dict[str, Any]:
    """A volume as agents know it."""
    return {
        "installPath": row.installPath,
        "deviceId": row.deviceId,
        "deviceType": "file",
        "volumeUuid": row.uuid,
        "useVirtio": True,
        "cacheMode": "none",
    }


def nic(row: VmNicVO, bridge: str) -> dict[str, Any]:
    """A nic as agents know it; `bridge` is the host's bridge for its L2 network."""
    return {
        "uuid": row.uuid,
        "mac": row.mac,
        "bridgeName": bridge,
        "nicInternalName": f"vnic{row.uuid[:8]}.{row.deviceId}",
        "deviceId": row.deviceId,
        "metaData": row.metaData,
        "useVirtio": True,
    }


def bridge_name(interface: str) -> str:
    """The name of the bridge on a physical interface."""
    return f"br_{interface}"[:15]


def start(
    vm: VmInstanceVO, volumes: Sequence[VolumeVO], nics: Sequence[dict[str, Any]], host_ip: str
) -> dict[str, Any]:
    """The body of /vm/start. The root volume is the one of type Root."""
    root = next(row for row in volumes if row.type == "Root")
    return {
        "vmInstanceUuid": vm.uuid,
        "vmName": vm.name,
        "memory": vm.memorySize,
        "cpuNum": vm.cpuNum,
        "cpuSpeed": vm.cpuSpeed,
        "bootDev": ["hd"],
        "rootVolume": volume(root),
        "dataVolumes": [volume(row) for row in volumes if row is not root],
        "nics": list(nics),
        "useVirtio": True,
        "hostManagementIp": host_ip,
    }
