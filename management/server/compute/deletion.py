"""What is deleted with a VM, and what befalls VMs when that goes which they depend on."""

from typing import TYPE_CHECKING

from sqlalchemy import select

from management.server.apis.globalconfig import setting
from management.server.cascade import Kind, Parent, erase
from management.server.compute import disks, lifecycle
from management.server.compute.addresses import remove_nics
from management.server.errors import ApiError
from management.server.models.hosts import HostVO, ZoneVO
from management.server.models.offerings import InstanceOfferingVO
from management.server.models.vms import VirtualRouterVmVO, VmInstanceVO
from management.server.models.volumes import VolumeVO

if TYPE_CHECKING:
    from management.server.node import Node


def _remove(node: "Node", vm: VmInstanceVO, force: bool) -> None:
    """Destroy, and leave as much as the policy says. Virtual routers leave nothing."""
    with node.locks("vm", vm.uuid):
        vm = _current(node, vm)
        if vm.deleted is not None:
            return
        if vm.state != "Destroyed":
            _destroy(node, vm, force)
        with node.database.read() as session:
            policy = setting(session, "vm", "deletionPolicy")
        if policy == "Direct" or isinstance(vm, VirtualRouterVmVO):
            expunge(node, _current(node, vm))


def _destroy(node: "Node", vm: VmInstanceVO, force: bool) -> None:
    try:
        lifecycle.destroy(node, vm.uuid)
    except ApiError:
        if not force:
            raise
        lifecycle.abandon(node, vm, "Destroyed", orphaned=True)


def _current(node: "Node", vm: VmInstanceVO) -> VmInstanceVO:
    """What others have made of the VM until we had the lock."""
    with node.database.read() as session:
        return session.get_one(VmInstanceVO, vm.uuid)


def expunge(node: "Node", vm: VmInstanceVO) -> None:
    """Delete what is left of a destroyed VM. Its data volumes belong to no VM from then on, or go with it.

    Raises:
        ApiError: its host could not delete a volume's file.
    """
    wanted = select(VolumeVO).where(VolumeVO.vmInstanceUuid == vm.uuid, VolumeVO.deleted.is_(None))
    with node.database.read() as session:
        volumes = session.scalars(wanted).all()
        all_go = setting(session, "vm", "dataVolume.deleteOnVmDestroy") == "true"
    for volume in volumes:
        if volume.type == "Root" or all_go:
            disks.delete(node, volume, vm.lastHostUuid)
        else:
            disks.release(node, volume)
    erase(node, vm)


def forget(node: "Node", vm_uuid: str) -> None:
    """A VM that was never started leaves nothing."""
    with node.database.write() as session:
        vm = session.get_one(VmInstanceVO, vm_uuid)
        remove_nics(session, vm_uuid)
        host = vm.lastHostUuid
    with node.database.read() as session:
        vm = session.get_one(VmInstanceVO, vm_uuid)
        volumes = session.scalars(select(VolumeVO).where(VolumeVO.vmInstanceUuid == vm_uuid)).all()
    for volume in volumes:
        disks.delete(node, volume, host)
    erase(node, vm)


def _stop(node: "Node", vm: VmInstanceVO, force: bool) -> None:
    with node.locks("vm", vm.uuid):
        host_uuid, vm = vm.hostUuid, _current(node, vm)
        if vm.hostUuid != host_uuid:
            return  # it has left the host by itself
        try:
            lifecycle.stop(node, vm.uuid)
        except ApiError:
            if not force:
                raise
            lifecycle.abandon(node, vm, "Stopped", orphaned=True)


def _lose_offering(node: "Node", vm: VmInstanceVO, _force: bool) -> None:
    with node.database.write() as session:
        session.get_one(VmInstanceVO, vm.uuid).instanceOfferingUuid = None


KIND = Kind(
    VmInstanceVO,
    (
        Parent(HostVO, "hostUuid", _stop),
        Parent(InstanceOfferingVO, "instanceOfferingUuid", _lose_offering),
        Parent(ZoneVO, "zoneUuid"),
    ),
    remove=_remove,
)
