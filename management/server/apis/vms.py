"""Making VMs and having them run, move and go (since 1.1.0)."""

import uuid
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from sqlalchemy.orm import Session

from management.server import cascade
from management.server.apis.hosts import HOST
from management.server.apis.vmqueries import VM
from management.server.compute import deletion, disks, lifecycle, moving, placement, states
from management.server.compute.addresses import add_nic
from management.server.compute.presence import follow_host
from management.server.errors import ApiError
from management.server.hosts import STATUS_CHANGED
from management.server.messages import ApiMessage, Caller, Resource
from management.server.models.hosts import ClusterVO, HostVO, ZoneVO
from management.server.models.images import ImageVO
from management.server.models.networks import L3NetworkVO
from management.server.models.offerings import DiskOfferingVO, InstanceOfferingVO
from management.server.models.vms import VmInstanceVO
from management.server.query import Inventory
from management.server.resources import CreateResource

if TYPE_CHECKING:
    from management.server.node import Node


class CreateVmInstance(CreateResource):
    """Makes the VM and starts it. When it cannot be started, nothing of it is left."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APICreateVmInstanceMsg"
    inventory: ClassVar[Inventory] = VM

    instanceOfferingUuid: Annotated[str, Resource(InstanceOfferingVO)]
    imageUuid: Annotated[str, Resource(ImageVO)]
    l3NetworkUuids: list[str] = Field(min_length=1)
    defaultL3NetworkUuid: Annotated[str | None, Resource(L3NetworkVO)] = None
    dataDiskOfferingUuids: list[str] = Field(default_factory=list)
    zoneUuid: Annotated[str | None, Resource(ZoneVO)] = None
    clusterUuid: Annotated[str | None, Resource(ClusterVO)] = None
    hostUuid: Annotated[str | None, Resource(HostVO)] = None

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        vm_uuid = self.resourceUuid or uuid.uuid4().hex
        # Whoever finds the VM before it has been started waits until it has.
        with node.locks("vm", vm_uuid):
            with node.database.write() as session:
                self.model_copy(update={"resourceUuid": vm_uuid}).insert(session)
            try:
                lifecycle.start(node, vm_uuid, self.hostUuid)
            except ApiError:
                deletion.forget(node, vm_uuid)
                raise
        with node.database.read() as session:
            return {"inventory": VM.show_one(session, vm_uuid)}

    def prepare(self, session: Session) -> dict[str, Any]:
        offering = session.get_one(InstanceOfferingVO, self.instanceOfferingUuid)
        image = session.get_one(ImageVO, self.imageUuid)
        for row in (offering, image):
            if row.state != "Enabled":
                raise ApiError("SYS.1006", f"{row.name}[uuid:{row.uuid}] is {row.state}")
        if image.system or image.status != "Ready":
            raise ApiError("SYS.1006", f"image[uuid:{image.uuid}] is a system's or not ready; no VM is made from it")
        default = self.defaultL3NetworkUuid or self.l3NetworkUuids[0]
        if default not in self.l3NetworkUuids:
            raise ApiError("SYS.1007", f"defaultL3NetworkUuid[{default}] is none of l3NetworkUuids")
        sizes = {name: getattr(offering, name) for name in ("cpuNum", "cpuSpeed", "memorySize", "allocatorStrategy")}
        # The host is taken by the flow that starts it.
        return {**sizes, "platform": image.platform, "defaultL3NetworkUuid": default, "hostUuid": None}

    def after(self, session: Session, row: Any) -> None:
        disks.add_root(session, row, session.get_one(ImageVO, self.imageUuid))
        for number, offering in enumerate(self.dataDiskOfferingUuids, start=1):
            disks.add_data(session, row, _existing(session, DiskOfferingVO, offering), number)
        for wanted in dict.fromkeys(self.l3NetworkUuids):
            network = _existing(session, L3NetworkVO, wanted)
            if network.system:
                raise ApiError("SYS.1006", f"L3 network[uuid:{wanted}] is the system's; no user's VM may be on it")
            add_nic(session, row.uuid, wanted)


class VmOperation(ApiMessage):
    """Does something to one VM and answers with what it is afterwards."""

    operation: ClassVar[Callable[["Node", str], None]]

    uuid: Annotated[str, Resource(VmInstanceVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.locks("vm", self.uuid):
            type(self).operation(node, self.uuid)
        with node.database.read() as session:
            return {"inventory": VM.show_one(session, self.uuid)}


class StartVmInstance(VmOperation):
    wire_name: ClassVar[str] = "org.zstack.header.vm.APIStartVmInstanceMsg"
    operation: ClassVar[Callable[["Node", str], None]] = lifecycle.start


class StopVmInstance(VmOperation):
    wire_name: ClassVar[str] = "org.zstack.header.vm.APIStopVmInstanceMsg"
    operation: ClassVar[Callable[["Node", str], None]] = lifecycle.stop


class RebootVmInstance(VmOperation):
    wire_name: ClassVar[str] = "org.zstack.header.vm.APIRebootVmInstanceMsg"
    operation: ClassVar[Callable[["Node", str], None]] = lifecycle.reboot


class DestroyVmInstance(ApiMessage):
    """A VM that is not there is destroyed already. What is left of one follows from the setting vm.deletionPolicy."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIDestroyVmInstanceMsg"

    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] = "Permissive"

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.read() as session:
            vm = session.get(VmInstanceVO, self.uuid)
        if vm is not None and vm.deleted is None and vm.state != "Destroyed":
            cascade.delete(node, VmInstanceVO, self.uuid, force=self.deleteMode == "Enforcing")
        return {}


class RecoverVmInstance(VmOperation):
    """Takes a destroyed VM back; it is Stopped and has no nics."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIRecoverVmInstanceMsg"
    operation: ClassVar[Callable[["Node", str], None]] = lifecycle.recover


class ExpungeVmInstance(ApiMessage):
    """Deletes what is left of a destroyed VM."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIExpungeVmInstanceMsg"

    uuid: Annotated[str, Resource(VmInstanceVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.locks("vm", self.uuid):
            with node.database.read() as session:
                vm = session.get_one(VmInstanceVO, self.uuid)
            states.check(vm, states.EXPUNGE)
            deletion.expunge(node, vm)
        return {}


class MigrateVm(ApiMessage):
    """Moves a running VM to the given host, or to the emptiest that can have it."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIMigrateVmMsg"
    about: ClassVar[str] = "vmInstanceUuid"

    vmInstanceUuid: Annotated[str, Resource(VmInstanceVO)]
    hostUuid: Annotated[str | None, Resource(HostVO)] = None

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.locks("vm", self.vmInstanceUuid):
            moving.migrate(node, self.vmInstanceUuid, self.hostUuid)
        with node.database.read() as session:
            return {"inventory": VM.show_one(session, self.vmInstanceUuid)}


class GetVmMigrationCandidateHosts(ApiMessage):
    """The hosts that the VM could be moved to."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIGetVmMigrationCandidateHostsMsg"
    sync: ClassVar[bool] = True

    vmInstanceUuid: Annotated[str, Resource(VmInstanceVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.read() as session:
            vm = session.get_one(VmInstanceVO, self.vmInstanceUuid)
            states.check(vm, states.MIGRATE)
            wanted = placement.candidates(session, vm, placement.networks_of(session, vm.uuid))
            best_first = session.scalars(wanted.where(HostVO.uuid != vm.hostUuid).with_only_columns(HostVO.uuid)).all()
            shown = {host["uuid"]: host for host in HOST.show(session, "uuid", best_first)}
            return {"inventories": [shown[uuid] for uuid in best_first]}


def _existing(session: Session, model: Any, uuid: str) -> Any:
    row = session.get(model, uuid)
    if row is None or row.deleted is not None:
        raise ApiError("SYS.1003", f"there is no resource[uuid:{uuid}, type:{model.__name__}]")
    return row


def join(node: "Node") -> None:
    """VMs follow what becomes of their hosts."""
    node.events.subscribe(STATUS_CHANGED, partial(follow_host, node))
