"""Which host a VM runs on. Capacity is taken and given back in the transaction that decides."""

from typing import Any

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from management.server.errors import ApiError
from management.server.models.hosts import HostVO
from management.server.models.networks import L2NetworkClusterRefVO, L3NetworkVO
from management.server.models.storage import PrimaryStorageClusterRefVO, PrimaryStorageVO
from management.server.models.vms import VmInstanceVO, VmNicVO


def candidates(session: Session, vm: VmInstanceVO, l3s: tuple[str, ...]) -> Select[HostVO]:
    """Hosts that could run the VM: in service, with room, on its networks, with storage. The emptiest first."""
    running = (
        select(func.count())
        .select_from(VmInstanceVO)
        .where(VmInstanceVO.hostUuid == HostVO.uuid, VmInstanceVO.deleted.is_(None))
        .scalar_subquery()
    )
    stored = (
        select(PrimaryStorageClusterRefVO.clusterUuid)
        .join(PrimaryStorageVO, PrimaryStorageVO.uuid == PrimaryStorageClusterRefVO.primaryStorageUuid)
        .where(PrimaryStorageVO.state == "Enabled", PrimaryStorageVO.deleted.is_(None))
    )
    wanted = select(HostVO).where(
        HostVO.deleted.is_(None),
        HostVO.state == "Enabled",
        HostVO.status == "Connected",
        HostVO.availableCpuCapacity >= vm.cpuNum * vm.cpuSpeed,
        HostVO.availableMemoryCapacity >= vm.memorySize,
        HostVO.clusterUuid.in_(stored),
    )
    l2s = select(L3NetworkVO.l2NetworkUuid).where(L3NetworkVO.uuid.in_(l3s))
    for l2 in set(session.scalars(l2s)):
        on = select(L2NetworkClusterRefVO.clusterUuid).where(L2NetworkClusterRefVO.l2NetworkUuid == l2)
        wanted = wanted.where(HostVO.clusterUuid.in_(on))
    for column in ("zoneUuid", "clusterUuid"):
        if getattr(vm, column) is not None:
            wanted = wanted.where(getattr(HostVO, column) == getattr(vm, column))
    return wanted.order_by(running, HostVO.createDate, HostVO.uuid)


def networks_of(session: Session, vm_uuid: str) -> tuple[str, ...]:
    """The L3 networks that the VM has nics on."""
    return tuple(session.scalars(select(VmNicVO.l3NetworkUuid).where(VmNicVO.vmInstanceUuid == vm_uuid)))


def take(session: Session, vm: VmInstanceVO, l3s: tuple[str, ...], wanted: str | None = None) -> HostVO:
    """Choose a host and take the VM's capacity from it. With `wanted`, that host or none.

    Raises:
        ApiError: SYS.1006, no host fits.
    """
    choice: Any = candidates(session, vm, l3s)
    if wanted is not None:
        choice = choice.where(HostVO.uuid == wanted)
    host: HostVO | None = session.scalars(choice).first()
    if host is None:
        need = f"{vm.cpuNum} x {vm.cpuSpeed} MHz and {vm.memorySize} bytes"
        text = f"no enabled and connected host with {need} free reaches the VM's networks and storage"
        raise ApiError("SYS.1006", text)
    host.availableCpuCapacity -= vm.cpuNum * vm.cpuSpeed
    host.availableMemoryCapacity -= vm.memorySize
    return host


def recount(session: Session, host: HostVO) -> None:
    """Take what the host's VMs were promised from its capacity, should it say that more is free."""
    mine = VmInstanceVO.hostUuid == host.uuid, VmInstanceVO.deleted.is_(None)
    promised = select(func.sum(VmInstanceVO.cpuNum * VmInstanceVO.cpuSpeed), func.sum(VmInstanceVO.memorySize))
    cpu, memory = session.execute(promised.where(*mine)).one()
    host.availableCpuCapacity = min(host.availableCpuCapacity, host.totalCpuCapacity - int(cpu or 0))
    host.availableMemoryCapacity = min(host.availableMemoryCapacity, host.totalMemoryCapacity - int(memory or 0))


def give_back(session: Session, vm: VmInstanceVO, host_uuid: str) -> None:
    """Return the VM's capacity to a host that may be gone meanwhile."""
    host = session.get(HostVO, host_uuid)
    if host is not None:
        host.availableCpuCapacity = min(host.totalCpuCapacity, host.availableCpuCapacity + vm.cpuNum * vm.cpuSpeed)
        host.availableMemoryCapacity = min(host.totalMemoryCapacity, host.availableMemoryCapacity + vm.memorySize)
