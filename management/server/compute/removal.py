"""Taking VMs and files off hosts: now, or, when the host cannot be reached, by the garbage collection."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from management.server.agentcalls import call_host
from management.server.errors import ApiError
from management.server.gc.jobs import Context, JobKind, Trigger
from management.server.gc.store import submit
from management.server.hosts import DELETED, STATUS_CHANGED
from management.server.models import Base
from management.server.models.hosts import HostVO
from management.server.models.storage import PrimaryStorageVO
from management.server.models.vms import VmInstanceVO
from management.server.models.volumes import LocalStorageResourceRefVO, VolumeVO

if TYPE_CHECKING:
    from management.server.node import Node

UNREACHABLE = ("HOST.1010", "SYS.1015", "SYS.1001", "SYS.1012")
"""After these the server cannot know what the host did."""
STORAGE_DELETED = "/primaryStorage/delete"


def destroy_vm(node: "Node", vm_uuid: str, host_uuid: str) -> bool:
    """End the VM on the host; one that is not there is no mistake. False when the host cannot be reached.

    Raises:
        ApiError: the host could not do it.
    """
    try:
        call_host(node, host_uuid, "/vm/destroy", {"uuid": vm_uuid})
    except ApiError as error:
        if error.code in UNREACHABLE:
            return False
        raise
    return True


def collect_vm(session: Session, vm_uuid: str, host_uuid: str) -> None:
    """Have the VM ended on the host when that can be reached again."""
    submit(session, DELETE_VM, f"delete-vm-{vm_uuid}", {"vmUuid": vm_uuid, "hostUuid": host_uuid})


def remove_file(node: "Node", storage_uuid: str, host_uuid: str, path: str) -> None:
    """Delete a file of the host's local storage, now or when the host can be reached again.

    Raises:
        ApiError: the host could not do it.
    """
    context = {"primaryStorageUuid": storage_uuid, "hostUuid": host_uuid, "path": path}
    try:
        _delete_bits(node, context)
    except ApiError as error:
        if error.code not in UNREACHABLE:
            raise
        with node.database.write() as session:
            collect_file(session, storage_uuid, host_uuid, path)


def collect_file(session: Session, storage_uuid: str, host_uuid: str, path: str) -> None:
    """Have a file deleted that the host may have made, or may be making, unless a volume has it by then."""
    context = {"primaryStorageUuid": storage_uuid, "hostUuid": host_uuid, "path": path}
    submit(session, DELETE_BITS, f"local-storage-delete-{storage_uuid}-{path}", context)


def collect_volumes(session: Session, vm_uuid: str, host_uuid: str) -> None:
    """Have the files deleted that the VM's volumes had on the host, which it has left with them."""
    theirs = select(VolumeVO).where(VolumeVO.vmInstanceUuid == vm_uuid, VolumeVO.deleted.is_(None))
    for volume in session.scalars(theirs).all():
        if volume.primaryStorageUuid is not None and volume.installPath is not None:
            collect_file(session, volume.primaryStorageUuid, host_uuid, volume.installPath)


def _destroy_orphan(node: "Node", context: Context) -> None:
    vm_uuid, host_uuid = context["vmUuid"], context["hostUuid"]
    with node.locks("vm", vm_uuid):
        with node.database.read() as session:
            vm = session.get(VmInstanceVO, vm_uuid)
            # It may have been recovered meanwhile, and run where it ran.
            settled = _is_gone(session, HostVO, host_uuid) or (vm is not None and vm.hostUuid == host_uuid)
        if not settled:
            call_host(node, host_uuid, "/vm/destroy", {"uuid": vm_uuid})


def _delete_left_bits(node: "Node", context: Context) -> None:
    """The host may have got the file's volume back meanwhile: then it is not ours to delete."""
    with node.database.read() as session:
        lies = LocalStorageResourceRefVO.resourceUuid == VolumeVO.uuid
        there = LocalStorageResourceRefVO.hostUuid == context["hostUuid"], VolumeVO.installPath == context["path"]
        used = session.scalars(select(VolumeVO.uuid).where(lies, *there, VolumeVO.deleted.is_(None))).first()
    if used is not None:
        raise ApiError("SYS.1006", f"{context['path']} is what volume[uuid:{used}] lies in")
    _delete_bits(node, context)


def _delete_bits(node: "Node", context: Context) -> None:
    with node.database.read() as session:
        if _has_no_place(session, context):
            return
    body = {"hostUuid": context["hostUuid"], "path": context["path"]}
    call_host(node, context["hostUuid"], "/localstorage/delete", body)


def host_is_back_or_gone(session: Session, context: Context) -> bool:
    """Whether the job's host can be asked, or nobody need ask it any more."""
    host = session.get(HostVO, context["hostUuid"])
    return host is None or host.deleted is not None or host.status == "Connected"


def _can_be_deleted(session: Session, context: Context) -> bool:
    return _has_no_place(session, context) or host_is_back_or_gone(session, context)


def _has_no_place(session: Session, context: Context) -> bool:
    storage_gone = _is_gone(session, PrimaryStorageVO, context["primaryStorageUuid"])
    return storage_gone or _is_gone(session, HostVO, context["hostUuid"])


def _is_gone(session: Session, model: type[Base], uuid: str) -> bool:
    row: Any = session.get(model, uuid)
    return row is None or row.deleted is not None


HOST_TRIGGERS = (Trigger(STATUS_CHANGED, "hostUuid"), Trigger(DELETED, "hostUuid"))
DELETE_VM = JobKind("org.zstack.compute.vm.GCDeleteVmRunner", _destroy_orphan, host_is_back_or_gone, HOST_TRIGGERS)
DELETE_BITS = JobKind(
    "org.zstack.storage.primary.local.GCDeleteBitsRunner",
    _delete_left_bits,
    _can_be_deleted,
    (*HOST_TRIGGERS, Trigger(STORAGE_DELETED, "primaryStorageUuid")),
)
