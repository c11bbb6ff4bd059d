"""Giving VMs nics and taking them away (since 1.1.0)."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from management.server.apis.vmqueries import VM
from management.server.compute import placement
from management.server.compute.addresses import add_nic, remove_nic
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller, Resource
from management.server.models.networks import L3NetworkVO
from management.server.models.vms import VmInstanceVO, VmNicVO

if TYPE_CHECKING:
    from management.server.node import Node


class AttachL3NetworkToVm(ApiMessage):
    """Gives a stopped VM another nic. The first one is its default."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIAttachL3NetworkToVmMsg"
    about: ClassVar[str] = "vmInstanceUuid"

    vmInstanceUuid: Annotated[str, Resource(VmInstanceVO)]
    l3NetworkUuid: Annotated[str, Resource(L3NetworkVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.locks("vm", self.vmInstanceUuid), node.database.write() as session:
            vm = session.get_one(VmInstanceVO, self.vmInstanceUuid)
            _check_nics_may_change(vm)
            if self.l3NetworkUuid in placement.networks_of(session, vm.uuid):
                text = f"VM[uuid:{vm.uuid}] is on L3 network[uuid:{self.l3NetworkUuid}] already"
                raise ApiError("SYS.1006", text)
            add_nic(session, vm.uuid, self.l3NetworkUuid)
            vm.defaultL3NetworkUuid = vm.defaultL3NetworkUuid or self.l3NetworkUuid
            session.flush()
            return {"inventory": VM.show_one(session, vm.uuid)}


class DetachL3NetworkFromVm(ApiMessage):
    """Takes a nic from a stopped VM and frees its address."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIDetachL3NetworkFromVmMsg"
    about: ClassVar[str] = "vmNicUuid"

    vmNicUuid: Annotated[str, Resource(VmNicVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.read() as session:
            vm_uuid = session.get_one(VmNicVO, self.vmNicUuid).vmInstanceUuid
        with node.locks("vm", vm_uuid), node.database.write() as session:
            nic = session.get(VmNicVO, self.vmNicUuid)
            if nic is None:
                raise ApiError("SYS.1006", f"nic[uuid:{self.vmNicUuid}] has just been taken from its VM")
            vm = session.get_one(VmInstanceVO, nic.vmInstanceUuid)
            _check_nics_may_change(vm)
            remove_nic(session, nic)
            if vm.defaultL3NetworkUuid == nic.l3NetworkUuid:
                vm.defaultL3NetworkUuid = next(iter(placement.networks_of(session, vm.uuid)), None)
            session.flush()
            return {"inventory": VM.show_one(session, vm.uuid)}


def _check_nics_may_change(vm: VmInstanceVO) -> None:
    if vm.type != "UserVm" or vm.state != "Stopped":
        text = f"VM[uuid:{vm.uuid}] is a {vm.type} and {vm.state}; nics change on a stopped UserVm"
        raise ApiError("SYS.1006", text)
