"""The life of a VM as data: which operation is allowed in which state, and what it is called meanwhile."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from management.server.errors import ApiError
from management.server.models.vms import VmInstanceVO

if TYPE_CHECKING:
    from management.server.node import Node


@dataclass(frozen=True, slots=True)
class Operation:
    """Allowed in the states `allowed`; while it goes on, the VM is `during`, or stays what it is."""

    name: str
    allowed: frozenset[str]
    during: str


def _operation(name: str, allowed: str, during: str) -> Operation:
    return Operation(name, frozenset(allowed.split()), during)


START = _operation("StartVmInstance", "Created Stopped", "Starting")
STOP = _operation("StopVmInstance", "Running Unknown", "Stopping")
REBOOT = _operation("RebootVmInstance", "Running", "Rebooting")
MIGRATE = _operation("MigrateVm", "Running", "Migrating")
DESTROY = _operation(
    "DestroyVmInstance", "Created Starting Running Stopping Stopped Rebooting Migrating Unknown", "Destroying"
)
ATTACH_VOLUME = _operation("AttachDataVolumeToVm", "Running Stopped", "")
TAKE_SNAPSHOT = _operation("CreateVolumeSnapshot", "Running Stopped", "")
DELETE_SNAPSHOT = _operation("DeleteVolumeSnapshot", "Running Stopped", "")
DETACH_VOLUME = _operation("DetachDataVolumeFromVm", "Running Stopped", "")
RECOVER = _operation("RecoverVmInstance", "Destroyed", "Stopped")
EXPUNGE = _operation("ExpungeVmInstance", "Destroyed", "Expunging")


def check(vm: VmInstanceVO, operation: Operation) -> None:
    """Return when the VM's state allows the operation.

    Raises:
        ApiError: VM.1010.
    """
    if vm.state not in operation.allowed:
        states = ", ".join(sorted(operation.allowed))
        text = f"VM[uuid:{vm.uuid}] is {vm.state}; {operation.name} is possible when it is one of {states}"
        raise ApiError("VM.1010", text)


def begin(node: "Node", vm_uuid: str, operation: Operation) -> VmInstanceVO:
    """Put the VM into the operation's state and return it as it was before.

    Raises:
        ApiError: VM.1010.
    """
    with node.database.read() as session:
        before = session.get_one(VmInstanceVO, vm_uuid)
    with node.database.write() as session:
        vm = session.get_one(VmInstanceVO, vm_uuid)
        check(vm, operation)
        vm.state = operation.during
    return before


def settle(node: "Node", vm_uuid: str, state: str, **columns: str | None) -> None:
    """The VM is `state` from now on, with these columns."""
    with node.database.write() as session:
        vm = session.get_one(VmInstanceVO, vm_uuid)
        vm.state = state
        for name, value in columns.items():
            setattr(vm, name, value)
