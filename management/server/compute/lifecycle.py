"""Making, starting, stopping and destroying VMs: flows whose context is `vmUuid`, `hostUuid` and a wish."""

from typing import TYPE_CHECKING, Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from management.server.agentcalls import call_host
from management.server.compute import commands, disks, placement, removal, states
from management.server.compute.addresses import remove_nics
from management.server.compute.presence import lose
from management.server.errors import ApiError
from management.server.flows import Context, Step, run_flow
from management.server.models.hosts import HostVO
from management.server.models.networks import L2NetworkVO, L3NetworkVO
from management.server.models.vms import VmInstanceVO, VmNicVO
from management.server.models.volumes import VolumeVO

if TYPE_CHECKING:
    from management.server.node import Node


def start(node: "Node", vm_uuid: str, host_uuid: str | None = None) -> None:
    """Run the VM: on that host, else where it ran last if there is room, else anywhere.

    Raises:
        ApiError: VM.1010, or why it cannot run; it is Stopped then.
    """
    before = states.begin(node, vm_uuid, states.START)
    try:
        run_flow(node, START, {"vmUuid": vm_uuid, "wanted": host_uuid, "last": before.lastHostUuid})
    except ApiError:
        states.settle(node, vm_uuid, "Stopped")
        raise


def stop(node: "Node", vm_uuid: str) -> None:
    """Shut the VM down and give its place back.

    Raises:
        ApiError: VM.1010, or HOST.1006.
    """
    before = states.begin(node, vm_uuid, states.STOP)
    _on_host(node, before, "/vm/stop", "HOST.1006", {"timeout": 120})
    abandon(node, before, "Stopped", orphaned=False)


def reboot(node: "Node", vm_uuid: str) -> None:
    """Restart the VM where it is.

    Raises:
        ApiError: VM.1010, or HOST.1007.
    """
    before = states.begin(node, vm_uuid, states.REBOOT)
    _on_host(node, before, "/vm/reboot", "HOST.1007", {"timeout": 120})
    states.settle(node, vm_uuid, "Running")


def recover(node: "Node", vm_uuid: str) -> None:
    """Take a destroyed VM back, Stopped.

    Raises:
        ApiError: VM.1010.
    """
    states.begin(node, vm_uuid, states.RECOVER)


def destroy(node: "Node", vm_uuid: str) -> None:
    """End the VM on its host and give back its place and its addresses. Its row and its volumes stay.

    A host that cannot be reached does not keep the VM from being destroyed: what runs there is collected later.

    Raises:
        ApiError: VM.1010, or HOST.1008.
    """
    before = states.begin(node, vm_uuid, states.DESTROY)
    try:
        orphaned = before.hostUuid is not None and not removal.destroy_vm(node, vm_uuid, before.hostUuid)
    except ApiError as error:
        states.settle(node, vm_uuid, before.state)
        raise ApiError("HOST.1008", f"VM[uuid:{vm_uuid}] on host[uuid:{before.hostUuid}]", error) from error
    abandon(node, before, "Destroyed", orphaned=orphaned)


def abandon(node: "Node", before: VmInstanceVO, state: str, *, orphaned: bool) -> None:
    """The VM is `state` and has left its host; what is `orphaned` there is collected. A destroyed one has no nics."""
    with node.database.write() as session:
        vm = session.get_one(VmInstanceVO, before.uuid)
        if before.hostUuid is not None:
            placement.give_back(session, vm, before.hostUuid)
            vm.lastHostUuid = before.hostUuid
            if orphaned:
                removal.collect_vm(session, vm.uuid, before.hostUuid)
        vm.hostUuid, vm.state = None, state
        if state == "Destroyed":
            remove_nics(session, vm.uuid)


def _on_host(node: "Node", before: VmInstanceVO, path: str, code: str, more: dict[str, int]) -> None:
    if before.hostUuid is None:
        states.settle(node, before.uuid, before.state)
        raise ApiError(code, f"VM[uuid:{before.uuid}] is on no host")
    try:
        call_host(node, before.hostUuid, path, {"uuid": before.uuid, **more})
    except ApiError as error:
        _fall_back(node, before, error)
        raise ApiError(code, f"VM[uuid:{before.uuid}] on host[uuid:{before.hostUuid}]", error) from error


def _fall_back(node: "Node", before: VmInstanceVO, error: ApiError) -> None:
    """The VM is what it was, unless nobody can know what its host did."""
    with node.database.write() as session:
        vm = session.get_one(VmInstanceVO, before.uuid)
        if error.code in removal.UNREACHABLE and before.state in ("Running", "Unknown"):
            lose(session, vm)
        else:
            vm.state = before.state


def _allocate_host(node: "Node", context: Context) -> None:
    with node.database.write() as session:
        vm = session.get_one(VmInstanceVO, context["vmUuid"])
        l3s = placement.networks_of(session, vm.uuid)
        host = _choose(session, vm, l3s, context)
        vm.hostUuid, vm.clusterUuid, vm.zoneUuid = host.uuid, host.clusterUuid, host.zoneUuid
        context["hostUuid"] = host.uuid


def _choose(session: Session, vm: VmInstanceVO, l3s: tuple[str, ...], context: Context) -> HostVO:
    last = context.get("last")
    if context["wanted"] is None and last is not None:
        # Its volumes lie on that host's own storage.
        return placement.take(session, vm, l3s, last)
    return placement.take(session, vm, l3s, context["wanted"])


def _return_host(node: "Node", context: Context) -> None:
    with node.database.write() as session:
        vm = session.get_one(VmInstanceVO, context["vmUuid"])
        if vm.hostUuid is not None:
            placement.give_back(session, vm, vm.hostUuid)
            vm.hostUuid = None


def _make_volumes(node: "Node", context: Context) -> None:
    with node.database.write() as session:
        # From now on its volumes lie there and nowhere else.
        session.get_one(VmInstanceVO, context["vmUuid"]).lastHostUuid = context["hostUuid"]
    for volume in volumes_of(node, context["vmUuid"]):
        disks.make_on_host(node, volume.uuid, context["hostUuid"])


def _start_on_host(node: "Node", context: Context) -> None:
    body = told_to(node, context["vmUuid"], context["hostUuid"])
    try:
        call_host(node, context["hostUuid"], "/vm/start", body)
    except ApiError as error:
        where = f"VM[uuid:{context['vmUuid']}] on host[uuid:{context['hostUuid']}]"
        raise ApiError("HOST.1005", where, error) from error


def told_to(node: "Node", vm_uuid: str, host_uuid: str) -> dict[str, Any]:
    """The VM as the host's agent is told it, to run it there."""
    with node.database.read() as session:
        vm, host = session.get_one(VmInstanceVO, vm_uuid), session.get_one(HostVO, host_uuid)
        interfaces = (
            select(VmNicVO, L2NetworkVO.physicalInterface)
            .join(L3NetworkVO, L3NetworkVO.uuid == VmNicVO.l3NetworkUuid)
            .join(L2NetworkVO, L2NetworkVO.uuid == L3NetworkVO.l2NetworkUuid)
            .where(VmNicVO.vmInstanceUuid == vm.uuid)
            .order_by(VmNicVO.deviceId)
        )
        nics = [
            commands.nic(nic, commands.bridge_name(interface))
            for nic, interface in session.execute(interfaces).tuples()
        ]
    return commands.start(vm, volumes_of(node, vm.uuid), nics, host.managementIp)


def _destroy_on_host(node: "Node", context: Context) -> None:
    if not removal.destroy_vm(node, context["vmUuid"], context["hostUuid"]):
        with node.database.write() as session:
            removal.collect_vm(session, context["vmUuid"], context["hostUuid"])


def now_running(node: "Node", context: Context) -> None:
    """Last step: the VM runs on `hostUuid`."""
    states.settle(node, context["vmUuid"], "Running", hostUuid=context["hostUuid"], lastHostUuid=context["hostUuid"])


def volumes_of(node: "Node", vm_uuid: str) -> list[VolumeVO]:
    """The VM's volumes in the order of their devices; the root volume is the first."""
    wanted = select(VolumeVO).where(VolumeVO.vmInstanceUuid == vm_uuid, VolumeVO.deleted.is_(None))
    with node.database.read() as session:
        return list(session.scalars(wanted.order_by(VolumeVO.deviceId)))


START = (
    Step("allocate a host", _allocate_host, _return_host),
    Step("make the volumes", _make_volumes),
    Step("start on the host", _start_on_host, _destroy_on_host),
    Step("note that it runs", now_running),
)
