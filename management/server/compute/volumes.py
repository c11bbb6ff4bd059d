"""Data volumes by themselves: giving them to VMs, taking them back, deleting them.

A volume has a file once a VM runs with it; the file lies on one host and only VMs on that host can have the volume.
"""

from typing import TYPE_CHECKING

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from management import deadlines
from management.server.agentcalls import call_host
from management.server.apis.globalconfig import setting
from management.server.cascade import erase
from management.server.compute import commands, disks, places, snapshots, states
from management.server.compute.removal import HOST_TRIGGERS, UNREACHABLE, collect_file, host_is_back_or_gone
from management.server.compute.turns import held
from management.server.errors import ApiError
from management.server.flows import UNDO_SECONDS
from management.server.gc.jobs import Context, JobKind
from management.server.gc.store import submit
from management.server.models.gc import GarbageCollectorVO
from management.server.models.vms import VmInstanceVO
from management.server.models.volumes import VolumeSnapshotTreeVO, VolumeSnapshotVO, VolumeVO

if TYPE_CHECKING:
    from management.server.node import Node


def attach(node: "Node", vm_uuid: str, volume_uuid: str) -> None:
    """Give the volume to the VM; a running one gets it at once.

    Raises:
        ApiError: VM.1010 or SYS.1006, it cannot have it; or why its host could not do it. Nothing has changed then.
    """
    with node.locks("vm", vm_uuid), node.locks("volume", volume_uuid):
        with node.database.write() as session:
            vm, volume = session.get_one(VmInstanceVO, vm_uuid), session.get_one(VolumeVO, volume_uuid)
            _check_attachable(session, vm, volume)
            volume.vmInstanceUuid, volume.deviceId = vm.uuid, _free_device(session, vm.uuid)
            host = vm.hostUuid if vm.state == "Running" else None
        if host is None:
            return
        try:
            disks.make_on_host(node, volume_uuid, host)
            _tell(node, host, vm_uuid, volume_uuid, "/vm/attachdatavolume")
        except ApiError as error:
            if error.code in UNREACHABLE:
                with deadlines.grace(UNDO_SECONDS):
                    _take_off(node, host, vm_uuid, volume_uuid)
            disks.release(node, volume)
            _unmake(node, volume_uuid, host)
            raise


def detach(node: "Node", volume_uuid: str) -> None:
    """Take the volume back from its VM.

    Raises:
        ApiError: VM.1010 or SYS.1006, it has none or may not lose it; or why the host could not do it. The VM keeps
            it then; when nobody knows what the host did, the collection finishes it.
    """
    with held(node, volume_uuid) as volume:
        if volume.vmInstanceUuid is None:
            raise ApiError("SYS.1006", f"data volume[uuid:{volume_uuid}] is attached to no VM")
        with node.database.read() as session:
            vm = session.get_one(VmInstanceVO, volume.vmInstanceUuid)
        states.check(vm, states.DETACH_VOLUME)
        job = f"finish-detaching-{vm.uuid}-{volume_uuid}"
        try:
            _take_from(node, vm, volume)
        except ApiError as error:
            if error.code in snapshots.UNKNOWN:
                context = {"hostUuid": vm.hostUuid, "vmUuid": vm.uuid, "volumeUuid": volume_uuid}
                with node.database.write() as session:
                    submit(session, FINISH_DETACHING, job, context)
            raise
        with node.database.write() as session:
            # The VM may get the volume again: an earlier attempt's job must not take that away.
            session.execute(delete(GarbageCollectorVO).where(GarbageCollectorVO.name == job))


def _take_from(node: "Node", vm: VmInstanceVO, volume: VolumeVO) -> None:
    if vm.state == "Running" and vm.hostUuid is not None:
        _tell(node, vm.hostUuid, vm.uuid, volume.uuid, "/vm/detachdatavolume")
    disks.release(node, volume)


def check_removable(_node: "Node", volume: VolumeVO) -> None:
    """Return when the volume may be deleted by itself.

    Raises:
        ApiError: SYS.1006.
    """
    if volume.type != "Data":
        raise ApiError("SYS.1006", f"volume[uuid:{volume.uuid}] is a VM's root volume; it goes with the VM")


def remove(node: "Node", volume: VolumeVO, force: bool) -> None:
    """Take the volume back from its VM, and delete it with its file."""
    if volume.vmInstanceUuid is not None:
        try:
            detach(node, volume.uuid)
        except ApiError:
            if not force:
                raise
            disks.release(node, volume)
    with held(node, volume.uuid) as current:
        if current.deleted is None:
            _check_alone(current)
            disks.delete(node, current, None)


def _check_alone(volume: VolumeVO) -> None:
    if volume.vmInstanceUuid is not None:
        raise ApiError("SYS.1006", f"volume[uuid:{volume.uuid}] has just got another VM[uuid:{volume.vmInstanceUuid}]")


def lose_storage(node: "Node", volume: VolumeVO, _force: bool) -> None:
    """The storage goes: nobody deletes files there, only rows."""
    with node.database.read() as session:
        rows = [
            row
            for model in (VolumeSnapshotVO, VolumeSnapshotTreeVO)
            for row in session.scalars(select(model).where(model.volumeUuid == volume.uuid, model.deleted.is_(None)))
        ]
    for row in (*rows, volume):
        erase(node, row)


def lose_offering(node: "Node", volume: VolumeVO, _force: bool) -> None:
    """The offering goes; the volume stays what it is."""
    with node.database.write() as session:
        session.get_one(VolumeVO, volume.uuid).diskOfferingUuid = None


def _check_attachable(session: Session, vm: VmInstanceVO, volume: VolumeVO) -> None:
    states.check(vm, states.ATTACH_VOLUME)
    name = f"data volume[uuid:{volume.uuid}]"
    if volume.type != "Data":
        raise ApiError("SYS.1006", f"volume[uuid:{volume.uuid}] is a root volume; only data volumes are attached")
    if volume.state != "Enabled":
        raise ApiError("SYS.1006", f"{name} is {volume.state}, it cannot be attached")
    if volume.status not in ("Ready", "NotInstantiated"):
        raise ApiError("SYS.1006", f"{name} is {volume.status}, it cannot be attached")
    snapshots.check_finished(session, volume.uuid)
    if volume.vmInstanceUuid is not None:
        raise ApiError("SYS.1006", f"{name} is attached to VM[uuid:{volume.vmInstanceUuid}] already")
    most = int(setting(session, "kvm", "dataVolume.maxNum"))
    if len(_devices(session, vm.uuid) - {0}) >= most:
        raise ApiError("SYS.1006", f"VM[uuid:{vm.uuid}] has {most} data volumes already, which is the most it may have")
    lies, runs = places.host_of(session, volume.uuid), vm.hostUuid or vm.lastHostUuid
    if lies is not None and lies != runs:
        raise ApiError("SYS.1006", f"{name} lies on host[uuid:{lies}], the VM[uuid:{vm.uuid}] is on host[uuid:{runs}]")


def _devices(session: Session, vm_uuid: str) -> set[int | None]:
    wanted = select(VolumeVO.deviceId).where(VolumeVO.vmInstanceUuid == vm_uuid, VolumeVO.deleted.is_(None))
    return set(session.scalars(wanted))


def _free_device(session: Session, vm_uuid: str) -> int:
    taken = _devices(session, vm_uuid)
    return next(number for number in range(1, len(taken) + 2) if number not in taken)


def _tell(node: "Node", host_uuid: str, vm_uuid: str, volume_uuid: str, path: str) -> None:
    with node.database.read() as session:
        volume = session.get_one(VolumeVO, volume_uuid)
    call_host(node, host_uuid, path, {"vmInstanceUuid": vm_uuid, "volume": commands.volume(volume), "addons": {}})


def _unmake(node: "Node", volume_uuid: str, host_uuid: str) -> None:
    """A volume whose file could not be made is bound to no host. What there is of the file is collected."""
    with node.database.write() as session:
        volume = session.get_one(VolumeVO, volume_uuid)
        if volume.status == "Ready" or volume.installPath is None or volume.primaryStorageUuid is None:
            return
        collect_file(session, volume.primaryStorageUuid, host_uuid, volume.installPath)
        places.clear(session, volume_uuid)
        volume.installPath, volume.primaryStorageUuid = None, None


def _take_off(node: "Node", host_uuid: str, vm_uuid: str, volume_uuid: str) -> None:
    """Nobody knows whether the VM has got the volume: it must not keep it."""
    try:
        _tell(node, host_uuid, vm_uuid, volume_uuid, "/vm/detachdatavolume")
    except ApiError:
        context = {"hostUuid": host_uuid, "vmUuid": vm_uuid, "volumeUuid": volume_uuid}
        with node.database.write() as session:
            submit(session, DETACH_VOLUME, f"detach-volume-{vm_uuid}-{volume_uuid}", context)


def _detach_orphan(node: "Node", context: Context) -> None:
    with node.locks("vm", context["vmUuid"]), node.locks("volume", context["volumeUuid"]):
        with node.database.read() as session:
            vm, volume = session.get(VmInstanceVO, context["vmUuid"]), session.get(VolumeVO, context["volumeUuid"])
        if vm is None or volume is None or vm.hostUuid != context["hostUuid"] or volume.vmInstanceUuid == vm.uuid:
            return  # it does not run there any more, or was given the volume after all
        _tell(node, context["hostUuid"], vm.uuid, volume.uuid, "/vm/detachdatavolume")


def _finish_detaching(node: "Node", context: Context) -> None:
    with node.locks("vm", context["vmUuid"]), node.locks("volume", context["volumeUuid"]):
        with node.database.read() as session:
            vm, volume = session.get(VmInstanceVO, context["vmUuid"]), session.get(VolumeVO, context["volumeUuid"])
        if vm is not None and volume is not None and volume.vmInstanceUuid == vm.uuid:
            _take_from(node, vm, volume)


FINISH_DETACHING = JobKind(
    "org.zstack.storage.volume.GCFinishDetachingRunner", _finish_detaching, host_is_back_or_gone, HOST_TRIGGERS
)
DETACH_VOLUME = JobKind(
    "org.zstack.storage.volume.GCDetachVolumeRunner", _detach_orphan, host_is_back_or_gone, HOST_TRIGGERS
)
