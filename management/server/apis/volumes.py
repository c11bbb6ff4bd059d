"""Volumes (since 1.1.0). Queries; data volumes are made with their VM."""

from typing import ClassVar

from management.server.cascade import Kind, Parent
from management.server.models.storage import PrimaryStorageVO
from management.server.models.volumes import VolumeSnapshotTreeVO, VolumeSnapshotVO, VolumeVO
from management.server.query import Inventory, Link, QueryMessage

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
    Kind(VolumeVO, (Parent(PrimaryStorageVO, "primaryStorageUuid"),)),
    Kind(VolumeSnapshotVO, (Parent(VolumeVO, "volumeUuid"), Parent(VolumeSnapshotVO, "parentUuid"))),
    Kind(VolumeSnapshotTreeVO, (Parent(VolumeVO, "volumeUuid"),)),
)


class QueryVolume(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.volume.APIQueryVolumeMsg"
    inventory: ClassVar[Inventory] = VOLUME


class QueryVolumeSnapshot(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.storage.snapshot.APIQueryVolumeSnapshotMsg"
    inventory: ClassVar[Inventory] = SNAPSHOT
