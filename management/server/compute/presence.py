"""What becomes of VMs whose hosts come and go: nobody knows about them until a host that may have them says so."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from management.server.agentcalls import call_host
from management.server.compute import placement, places, removal
from management.server.errors import ApiError
from management.server.gc.jobs import Context, JobKind
from management.server.gc.store import submit
from management.server.models.gc import GarbageCollectorVO
from management.server.models.hosts import HostVO
from management.server.models.system import ManagementNodeVO
from management.server.models.vms import VmInstanceVO

if TYPE_CHECKING:
    from management.server.node import Node

CHECK_SECONDS = 5.0
SETTLED = ("Unknown", "Running", "Stopped", "Destroyed")
"""States of a VM that nothing is being done with."""


def lose(session: Session, vm: VmInstanceVO, *others: str) -> None:
    """The VM is Unknown until its host has been asked, or one of the `others`, where it may be instead."""
    vm.state = "Unknown"
    check_later(session, vm, *others)


def check_later(session: Session, vm: VmInstanceVO, *others: str, mover: str | None = None) -> None:
    """Have its host asked for the VM, and the `others`, when it is Unknown by then; else the others must not have it.

    It is Unknown, too, when the node `mover` has ended while it moved it. Whoever was to be asked before need not be.
    """
    name = f"check-vm-state-{vm.uuid}"
    session.execute(delete(GarbageCollectorVO).where(GarbageCollectorVO.name == name))
    hosts = [uuid for uuid in (vm.hostUuid, *others) if uuid is not None]
    submit(session, CHECK_VM, name, {"vmUuid": vm.uuid, "hostUuids": hosts, "managementNodeUuid": mover})


def state_on(node: "Node", vm_uuid: str, host_uuid: str) -> str:
    """What the host says of the VM: Running; Shutdown, when it is not there; Paused, when it may run elsewhere.

    Raises:
        ApiError: the host cannot be asked.
    """
    answer = call_host(node, host_uuid, "/vm/checkstate", {"vmUuids": [vm_uuid], "hostUuid": host_uuid})
    return str(answer.get("states", {}).get(vm_uuid, "Shutdown"))


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
            lost = vm is not None and _is_lost(session, vm, context)
        if vm is None:
            return
        there = vm.hostUuid
        if lost:
            there = _find(node, vm_uuid, hosts)
            with node.database.write() as session:
                _note(session, session.get_one(VmInstanceVO, vm_uuid), there)
        elif _is_busy(vm):
            raise ApiError("SYS.1006", f"VM[uuid:{vm_uuid}] is {vm.state}: something is being done with it")
        for host in hosts:
            if host != there and not removal.destroy_vm(node, vm_uuid, host):
                raise ApiError("HOST.1010", f"host[uuid:{host}] may have VM[uuid:{vm_uuid}], which is not there")


def _is_busy(vm: VmInstanceVO) -> bool:
    return vm.deleted is None and vm.state not in SETTLED


def _is_lost(session: Session, vm: VmInstanceVO, context: Context) -> bool:
    mover = context.get("managementNodeUuid")
    cut_off = vm.state == "Migrating" and mover is not None and session.get(ManagementNodeVO, mover) is None
    return cut_off or vm.state == "Unknown"


def _find(node: "Node", vm_uuid: str, hosts: list[str]) -> str | None:
    """The host where the VM runs. If it is paused on one, because nobody knew, it goes on there unless it runs."""
    said = {host: state_on(node, vm_uuid, host) for host in hosts}
    running, paused = (
        next((host for host, state in said.items() if state == wanted), None) for wanted in ("Running", "Paused")
    )
    if running is None and paused is not None:
        for host in hosts:
            if host != paused:
                call_host(node, host, "/vm/release", {"vmUuid": vm_uuid})
        call_host(node, paused, "/vm/resume", {"vmUuid": vm_uuid})
    return running or paused


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
        places.move(session, vm.uuid, host_uuid)
        if before is not None:
            removal.collect_volumes(session, vm.uuid, before)


def _is_there(session: Session, host_uuid: str) -> bool:
    host = session.get(HostVO, host_uuid)
    return host is not None and host.deleted is None


def _can_be_told(session: Session, context: Context) -> bool:
    vm = session.get(VmInstanceVO, context["vmUuid"])
    if vm is not None and _is_busy(vm) and not _is_lost(session, vm, context):
        return False
    hosts = [session.get(HostVO, uuid) for uuid in context["hostUuids"] if _is_there(session, uuid)]
    return all(host is not None and host.status == "Connected" for host in hosts)


CHECK_VM = JobKind("org.zstack.compute.vm.CheckUnknownVmRunner", _ask, _can_be_told, interval=CHECK_SECONDS)
