"""What becomes of VMs whose hosts come and go: nobody knows about them until a host that may have them says so."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from management.server.agentcalls import call_host
from management.server.compute import placement
from management.server.gc.jobs import Context, JobKind
from management.server.gc.store import submit
from management.server.models.hosts import HostVO
from management.server.models.vms import VmInstanceVO

if TYPE_CHECKING:
    from management.server.node import Node

CHECK_SECONDS = 5.0


def lose(session: Session, vm: VmInstanceVO, *others: str) -> None:
    """The VM is Unknown until its host has been asked, or one of the `others`, where it may be instead."""
    vm.state = "Unknown"
    hosts = [uuid for uuid in (vm.hostUuid, *others) if uuid is not None]
    submit(session, CHECK_VM, f"check-vm-state-{vm.uuid}", {"vmUuid": vm.uuid, "hostUuids": hosts})


def follow_host(node: "Node", facts: dict[str, Any]) -> None:
    """Listener to status changes: VMs of a lost host are lost, and a host that is back has its capacity counted."""
    host_uuid, status = facts["hostUuid"], facts["newStatus"]
    with node.database.write() as session:
        if status == "Disconnected":
            wanted = VmInstanceVO.hostUuid == host_uuid, VmInstanceVO.state == "Running"
            for vm in session.scalars(select(VmInstanceVO).where(*wanted)).all():
                lose(session, vm)
        elif status == "Connected":
            placement.recount(session, session.get_one(HostVO, host_uuid))


def _ask(node: "Node", context: Context) -> None:
    vm_uuid = context["vmUuid"]
    with node.locks("vm", vm_uuid):
        with node.database.read() as session:
            vm = session.get(VmInstanceVO, vm_uuid)
            hosts = [host for host in context["hostUuids"] if _is_there(session, host)]
        if vm is None or vm.state != "Unknown":
            return
        running = next((host for host in hosts if _runs(node, vm_uuid, host)), None)
        with node.database.write() as session:
            _note(session, session.get_one(VmInstanceVO, vm_uuid), running)


def _note(session: Session, vm: VmInstanceVO, host_uuid: str | None) -> None:
    before, vm.hostUuid = vm.hostUuid, host_uuid
    vm.state = "Stopped" if host_uuid is None else "Running"
    vm.lastHostUuid = host_uuid or before or vm.lastHostUuid
    if before == host_uuid:
        return
    if before is not None:
        placement.give_back(session, vm, before)
    if host_uuid is not None:
        session.flush()
        host = session.get_one(HostVO, host_uuid)
        placement.recount(session, host)
        vm.clusterUuid = host.clusterUuid


def _runs(node: "Node", vm_uuid: str, host_uuid: str) -> bool:
    answer = call_host(node, host_uuid, "/vm/checkstate", {"vmUuids": [vm_uuid], "hostUuid": host_uuid})
    return bool(answer.get("states", {}).get(vm_uuid) == "Running")


def _is_there(session: Session, host_uuid: str) -> bool:
    host = session.get(HostVO, host_uuid)
    return host is not None and host.deleted is None


def _all_connected(session: Session, context: Context) -> bool:
    hosts = [session.get(HostVO, uuid) for uuid in context["hostUuids"] if _is_there(session, uuid)]
    return all(host is not None and host.status == "Connected" for host in hosts)


CHECK_VM = JobKind("org.zstack.compute.vm.CheckUnknownVmRunner", _ask, _all_connected, interval=CHECK_SECONDS)
