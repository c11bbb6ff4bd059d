"""Moving a running VM to another host: a flow whose context is `vmUuid`, `from`, a wish and `hostUuid`."""

from typing import TYPE_CHECKING

from sqlalchemy import select
from sqlalchemy.orm import Session

from management.deadlines import grace
from management.server.agentcalls import call_host
from management.server.compute import placement, places, removal, snapshots, states
from management.server.compute.lifecycle import now_running, told_to, volumes_of
from management.server.compute.presence import check_later, lose, state_on
from management.server.errors import ApiError
from management.server.flows import Context, Step, run_flow
from management.server.models.hosts import HostVO
from management.server.models.vms import VmInstanceVO
from management.server.models.volumes import VolumeVO

if TYPE_CHECKING:
    from management.server.node import Node

ASK_SECONDS = 15.0


def migrate(node: "Node", vm_uuid: str, host_uuid: str | None) -> None:
    """Move the running VM to another host.

    Raises:
        ApiError: VM.1010, or HOST.1009; when nobody knows where it runs, it is Unknown until both hosts answer.
    """
    before = states.begin(node, vm_uuid, states.MIGRATE)
    context: Context = {"vmUuid": vm_uuid, "wanted": host_uuid, "from": before.hostUuid}
    try:
        run_flow(node, MIGRATE, context)
    except ApiError as error:
        with node.database.write() as session:
            vm = session.get_one(VmInstanceVO, vm_uuid)
            vm.state = before.state
            if context.get("lost"):
                lose(session, vm, context["hostUuid"])
        raise ApiError("HOST.1009", f"VM[uuid:{vm_uuid}] on host[uuid:{before.hostUuid}]", error) from error


def _check_movable(session: Session, vm: VmInstanceVO) -> None:
    theirs = select(VolumeVO.uuid).where(VolumeVO.vmInstanceUuid == vm.uuid, VolumeVO.deleted.is_(None))
    for uuid in session.scalars(theirs).all():
        if snapshots.of_volume(session, uuid):
            raise ApiError(
                "SYS.1006", f"volume[uuid:{uuid}] has snapshots on the host's own storage; delete them first"
            )


def _take_target(node: "Node", context: Context) -> None:
    with node.database.write() as session:
        vm = session.get_one(VmInstanceVO, context["vmUuid"])
        _check_movable(session, vm)
        l3s = placement.networks_of(session, vm.uuid)
        others = placement.candidates(session, vm, l3s).where(HostVO.uuid != context["from"])
        wanted = context["wanted"] or next((host.uuid for host in session.scalars(others)), "")
        if wanted == context["from"]:
            raise ApiError("SYS.1006", f"VM[uuid:{vm.uuid}] is on host[uuid:{wanted}] already")
        context["hostUuid"] = placement.take(session, vm, l3s, wanted).uuid
        # Whatever becomes of the move, or of this node: in the end one host has the VM.
        check_later(session, vm, context["hostUuid"], mover=node.uuid)


def _return_target(node: "Node", context: Context) -> None:
    if "hostUuid" in context:
        with node.database.write() as session:
            placement.give_back(session, session.get_one(VmInstanceVO, context["vmUuid"]), context["hostUuid"])


def _move(node: "Node", context: Context) -> None:
    with node.database.read() as session:
        source, target = (session.get_one(HostVO, context[name]).managementIp for name in ("from", "hostUuid"))
    body = {
        "vmUuid": context["vmUuid"],
        "srcHostIp": source,
        "destHostIp": target,
        "storageMigrationPolicy": "FullCopy",
        "vm": told_to(node, context["vmUuid"], context["hostUuid"]),
    }
    try:
        call_host(node, context["from"], "/vm/migrate", body)
    except ApiError as error:
        with grace(ASK_SECONDS):
            context["lost"] = error.code in removal.UNREACHABLE or not _goes_on(node, context)
        raise


def _goes_on(node: "Node", context: Context) -> bool:
    """Whether the VM is known to run where it ran."""
    try:
        return state_on(node, context["vmUuid"], context["from"]) == "Running"
    except ApiError:
        return False


def _return_source(node: "Node", context: Context) -> None:
    with node.database.write() as session:
        vm = session.get_one(VmInstanceVO, context["vmUuid"])
        placement.give_back(session, vm, context["from"])
        vm.clusterUuid = session.get_one(HostVO, context["hostUuid"]).clusterUuid
        places.move(session, vm.uuid, context["hostUuid"])


def _remove_old_volumes(node: "Node", context: Context) -> None:
    for volume in volumes_of(node, context["vmUuid"]):
        if volume.primaryStorageUuid is not None and volume.installPath is not None:
            where = volume.primaryStorageUuid, context["from"], volume.installPath
            try:
                removal.remove_file(node, *where)
            except ApiError:  # the VM has moved: this is no reason to say that it has not
                with node.database.write() as session:
                    removal.collect_file(session, *where)


MIGRATE = (
    Step("take a place on the target", _take_target, _return_target),
    Step("move", _move, final=True),
    Step("give the old place back", _return_source),
    Step("note where it runs", now_running),
    Step("remove what stayed behind", _remove_old_volumes),
)
