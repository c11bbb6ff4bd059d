"""Working on a volume and its VM without anybody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from management.server.errors import ApiError
from management.server.models.volumes import VolumeVO

if TYPE_CHECKING:
    from management.server.node import Node


@contextmanager
def held(node: "Node", volume_uuid: str) -> Iterator[VolumeVO]:
    """The volume, while nobody else works on it or on its VM. Locks are taken in one order: the VM's first.

    Raises:
        ApiError: SYS.1006, it has changed hands meanwhile.
    """
    with node.database.read() as session:
        vm_uuid = session.get_one(VolumeVO, volume_uuid).vmInstanceUuid
    with node.locks("vm", vm_uuid or volume_uuid), node.locks("volume", volume_uuid):
        with node.database.read() as session:
            volume = session.get_one(VolumeVO, volume_uuid)
        if volume.vmInstanceUuid != vm_uuid:
            raise ApiError("SYS.1006", f"volume[uuid:{volume_uuid}] has just got another VM, or lost its VM")
        yield volume
