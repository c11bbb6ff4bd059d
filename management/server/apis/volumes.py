"""Volumes (since 1.1.0): asking for them, and data volumes that come and go by themselves."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from sqlalchemy.orm import Session

from management.server.cascade import Kind, Parent
from management.server.compute import snapshots, volumes
from management.server.compute.turns import held
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller, Resource
from management.server.models import Base
from management.server.models.hosts import HostVO
from management.server.models.offerings import DiskOfferingVO
from management.server.models.storage import PrimaryStorageVO
from management.server.models.vms import VmInstanceVO
from management.server.models.volumes import (
    LocalStorageResourceRefVO,
    VolumeSnapshotTreeVO,
    VolumeSnapshotVO,
    VolumeVO,
)
from management.server.query import Inventory, Link, QueryMessage
from management.server.resources import ChangeState, CreateResource, DeleteResource

if TYPE_CHECKING:
    from management.server.node import Node

VOLUME = Inventory(
    "VolumeInventory",
    VolumeVO,
    (
        "uuid",
        "name",
        "description",
        "primaryStorageUuid",
        "vmInstanceUuid",
        "diskOfferingUuid",
        "rootImageUuid",
        "installPath",
        "type",
        "format",
        "size",
        "deviceId",
        "state",
        "status",
        "createDate",
        "lastOpDate",
    ),
    alive="deleted",
    links=(
        Link("vmInstance", "VmInstanceInventory", mine="vmInstanceUuid"),
        Link("primaryStorage", "PrimaryStorageInventory", mine="primaryStorageUuid"),
        Link("image", "ImageInventory", mine="rootImageUuid"),
        Link("snapshot", "VolumeSnapshotInventory", theirs="volumeUuid"),
    ),
)
SNAPSHOT = Inventory(
    "VolumeSnapshotInventory",
    VolumeSnapshotVO,
    (
        "uuid",
        "name",
        "description",
        "type",
        "volumeUuid",
        "treeUuid",
        "parentUuid",
        "primaryStorageUuid",
        "primaryStorageInstallPath",
        "volumeType",
        "format",
        "size",
        "latest",
        "state",
        "status",
        "createDate",
        "lastOpDate",
    ),
    alive="deleted",
    links=(Link("volume", "VolumeInventory", mine="volumeUuid"),),
)
KINDS = (
    Kind(
        VolumeVO,
        (
            Parent(PrimaryStorageVO, "primaryStorageUuid", volumes.lose_storage),
            Parent(DiskOfferingVO, "diskOfferingUuid", volumes.lose_offering),
        ),
        check=volumes.check_removable,
        remove=volumes.remove,
    ),
    Kind(LocalStorageResourceRefVO, (Parent(HostVO, "hostUuid"), Parent(PrimaryStorageVO, "primaryStorageUuid"))),
    Kind(
        VolumeSnapshotVO,
        (Parent(VolumeVO, "volumeUuid", snapshots.leave_to_volume), Parent(VolumeSnapshotVO, "parentUuid")),
        remove=snapshots.remove,
    ),
    Kind(VolumeSnapshotTreeVO, (Parent(VolumeVO, "volumeUuid", snapshots.leave_to_volume),)),
)


class QueryVolume(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.volume.APIQueryVolumeMsg"
    inventory: ClassVar[Inventory] = VOLUME


class QueryVolumeSnapshot(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.storage.snapshot.APIQueryVolumeSnapshotMsg"
    inventory: ClassVar[Inventory] = SNAPSHOT


class CreateDataVolume(CreateResource):
    """A volume of the offering's size. It has no file before a VM runs with it."""

    wire_name: ClassVar[str] = "org.zstack.header.volume.APICreateDataVolumeMsg"
    inventory: ClassVar[Inventory] = VOLUME

    diskOfferingUuid: Annotated[str, Resource(DiskOfferingVO)]

    def prepare(self, session: Session) -> Mapping[str, Any]:
        offering = session.get_one(DiskOfferingVO, self.diskOfferingUuid)
        if offering.state != "Enabled":
            raise ApiError("SYS.1006", f"disk offering[uuid:{offering.uuid}] is {offering.state}")
        return {"type": "Data", "size": offering.diskSize}


class AttachDataVolumeToVm(ApiMessage):
    """A running VM gets it at once, a stopped one when it starts."""

    wire_name: ClassVar[str] = "org.zstack.header.volume.APIAttachDataVolumeToVmMsg"
    about: ClassVar[str] = "volumeUuid"
    inventory: ClassVar[Inventory] = VOLUME

    vmInstanceUuid: Annotated[str, Resource(VmInstanceVO)]
    volumeUuid: Annotated[str, Resource(VolumeVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        volumes.attach(node, self.vmInstanceUuid, self.volumeUuid)
        with node.database.read() as session:
            return {"inventory": VOLUME.show_one(session, self.volumeUuid)}


class DetachDataVolumeFromVm(ApiMessage):
    """The volume keeps its data and its host."""

    wire_name: ClassVar[str] = "org.zstack.header.volume.APIDetachDataVolumeFromVmMsg"
    inventory: ClassVar[Inventory] = VOLUME

    uuid: Annotated[str, Resource(VolumeVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.read() as session:
            volume = session.get_one(VolumeVO, self.uuid)
        if volume.type != "Data":
            raise ApiError("SYS.1006", f"volume[uuid:{volume.uuid}] is a root volume; it stays with its VM")
        volumes.detach(node, self.uuid)
        with node.database.read() as session:
            return {"inventory": VOLUME.show_one(session, self.uuid)}


class ChangeVolumeState(ChangeState):
    wire_name: ClassVar[str] = "org.zstack.header.volume.APIChangeVolumeStateMsg"
    inventory: ClassVar[Inventory] = VOLUME

    uuid: Annotated[str, Resource(VolumeVO)]


class DeleteDataVolume(DeleteResource):
    """Takes it from its VM, and deletes it with its file and its snapshots."""

    wire_name: ClassVar[str] = "org.zstack.header.volume.APIDeleteDataVolumeMsg"
    model: ClassVar[type[Base]] = VolumeVO

    uuid: Annotated[str, Resource(VolumeVO)]


class CreateVolumeSnapshot(CreateResource):
    """The volume as it is now; of a running VM's volume, as after a loss of power."""

    wire_name: ClassVar[str] = "org.zstack.header.volume.APICreateVolumeSnapshotMsg"
    about: ClassVar[str] = "volumeUuid"
    inventory: ClassVar[Inventory] = SNAPSHOT

    volumeUuid: Annotated[str, Resource(VolumeVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with held(node, self.volumeUuid):
            with node.database.write() as session:
                row = self.insert(session)
            snapshots.take(node, row.uuid)
        with node.database.read() as session:
            return {"inventory": SNAPSHOT.show_one(session, row.uuid)}

    def prepare(self, session: Session) -> Mapping[str, Any]:
        return snapshots.plan(session, session.get_one(VolumeVO, self.volumeUuid))


class DeleteVolumeSnapshot(DeleteResource):
    """Later snapshots, which build on it, go with it; the volume keeps its data."""

    wire_name: ClassVar[str] = "org.zstack.header.storage.snapshot.APIDeleteVolumeSnapshotMsg"
    model: ClassVar[type[Base]] = VolumeSnapshotVO

    uuid: Annotated[str, Resource(VolumeSnapshotVO)]
