"""Primary storage on hosts' own disks, and backup storage reached over SSH (since 1.1.0)."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field, SecretStr

from management.server import cascade
from management.server.cascade import Kind, Parent
from management.server.compute import backupstorage
from management.server.compute.imagestore import leave_storage, lose_storage
from management.server.compute.removal import STORAGE_DELETED
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller, Resource
from management.server.models import Base
from management.server.models.hosts import ClusterVO, ZoneVO
from management.server.models.images import ImageVO
from management.server.models.storage import (
    BackupStorageVO,
    BackupStorageZoneRefVO,
    ImageBackupStorageRefVO,
    PrimaryStorageClusterRefVO,
    PrimaryStorageVO,
)
from management.server.query import Inventory, Link, QueryMessage, Values
from management.server.resources import ChangeState, CreateResource, DeleteResource

if TYPE_CHECKING:
    from management.server.node import Node

STATE = (
    "uuid",
    "name",
    "description",
    "url",
    "type",
    "state",
    "status",
    "totalCapacity",
    "availableCapacity",
    "createDate",
    "lastOpDate",
)
PRIMARY = Inventory(
    "PrimaryStorageInventory",
    PrimaryStorageVO,
    (*STATE, "zoneUuid"),
    alive="deleted",
    links=(
        Link("zone", "ZoneInventory", mine="zoneUuid"),
        Link("volume", "VolumeInventory", theirs="primaryStorageUuid"),
    ),
    lists=(
        Values(
            "attachedClusterUuids",
            PrimaryStorageClusterRefVO.clusterUuid,
            PrimaryStorageClusterRefVO.primaryStorageUuid,
        ),
    ),
)
BACKUP = Inventory(
    "SftpBackupStorageInventory",
    BackupStorageVO,
    (*STATE, "hostname", "username"),
    alive="deleted",
    lists=(Values("attachedZoneUuids", BackupStorageZoneRefVO.zoneUuid, BackupStorageZoneRefVO.backupStorageUuid),),
)
IMAGE_REF = Inventory(
    "ImageBackupStorageRefInventory",
    ImageBackupStorageRefVO,
    ("imageUuid", "backupStorageUuid", "installPath", "status"),
    order=("imageUuid", "backupStorageUuid"),
)


def _announce_deleted(node: "Node", storage: PrimaryStorageVO) -> None:
    node.events.publish(STORAGE_DELETED, {"primaryStorageUuid": storage.uuid})


KINDS = (
    Kind(PrimaryStorageVO, (Parent(ZoneVO, "zoneUuid"),), cleanup=_announce_deleted),
    Kind(
        PrimaryStorageClusterRefVO,
        (Parent(PrimaryStorageVO, "primaryStorageUuid"), Parent(ClusterVO, "clusterUuid")),
    ),
    Kind(BackupStorageVO),
    Kind(BackupStorageZoneRefVO, (Parent(BackupStorageVO, "backupStorageUuid"), Parent(ZoneVO, "zoneUuid"))),
    Kind(
        ImageBackupStorageRefVO,
        (Parent(BackupStorageVO, "backupStorageUuid", lose_storage), Parent(ImageVO, "imageUuid", leave_storage)),
    ),
)
FOLDER = r"^/[A-Za-z0-9._/-]*[A-Za-z0-9._-]$"


class QueryPrimaryStorage(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.storage.primary.APIQueryPrimaryStorageMsg"
    inventory: ClassVar[Inventory] = PRIMARY


class AddLocalPrimaryStorage(CreateResource):
    """`url` is the folder on every host of the clusters that it will be attached to."""

    wire_name: ClassVar[str] = "org.zstack.storage.primary.local.APIAddLocalPrimaryStorageMsg"
    inventory: ClassVar[Inventory] = PRIMARY

    url: str = Field(pattern=FOLDER, max_length=2048)
    zoneUuid: Annotated[str, Resource(ZoneVO)]


class AttachPrimaryStorageToCluster(ApiMessage):
    """Attaching what is attached already changes nothing."""

    wire_name: ClassVar[str] = "org.zstack.header.storage.primary.APIAttachPrimaryStorageToClusterMsg"
    about: ClassVar[str] = "primaryStorageUuid"

    primaryStorageUuid: Annotated[str, Resource(PrimaryStorageVO)]
    clusterUuid: Annotated[str, Resource(ClusterVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        ref = {"primaryStorageUuid": self.primaryStorageUuid, "clusterUuid": self.clusterUuid}
        with node.database.write() as session:
            session.merge(PrimaryStorageClusterRefVO(**ref))
            session.flush()
            return {"inventory": PRIMARY.show_one(session, self.primaryStorageUuid)}


class ChangePrimaryStorageState(ChangeState):
    wire_name: ClassVar[str] = "org.zstack.header.storage.primary.APIChangePrimaryStorageStateMsg"
    inventory: ClassVar[Inventory] = PRIMARY

    uuid: Annotated[str, Resource(PrimaryStorageVO)]


class DeletePrimaryStorage(DeleteResource):
    wire_name: ClassVar[str] = "org.zstack.header.storage.primary.APIDeletePrimaryStorageMsg"
    model: ClassVar[type[Base]] = PrimaryStorageVO

    uuid: Annotated[str, Resource(PrimaryStorageVO)]


class QueryBackupStorage(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.storage.backup.APIQueryBackupStorageMsg"
    inventory: ClassVar[Inventory] = BACKUP


class AddSftpBackupStorage(CreateResource):
    """Adds the storage once its agent runs there and its folder is made. The password is used once and not stored."""

    wire_name: ClassVar[str] = "org.zstack.storage.backup.sftp.APIAddSftpBackupStorageMsg"
    inventory: ClassVar[Inventory] = BACKUP

    url: str = Field(pattern=FOLDER, max_length=2048)
    hostname: str = Field(pattern=r"^[A-Za-z0-9.:-]{1,255}$")
    username: str = Field(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")
    password: SecretStr

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            uuid = str(self.insert(session).uuid)
        try:
            backupstorage.connect(node, uuid, self.password.get_secret_value())
        except ApiError:
            cascade.delete(node, BackupStorageVO, uuid, force=True)
            raise
        with node.database.read() as session:
            return {"inventory": BACKUP.show_one(session, uuid)}


class ReconnectSftpBackupStorage(ApiMessage):
    """Brings the storage's agent up again, if it is not, and notes how much room there is."""

    wire_name: ClassVar[str] = "org.zstack.storage.backup.sftp.APIReconnectSftpBackupStorageMsg"
    repeatable: ClassVar[bool] = True

    uuid: Annotated[str, Resource(BackupStorageVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        backupstorage.connect(node, self.uuid)
        with node.database.read() as session:
            return {"inventory": BACKUP.show_one(session, self.uuid)}


class AttachBackupStorageToZone(ApiMessage):
    """Attaching what is attached already changes nothing."""

    wire_name: ClassVar[str] = "org.zstack.header.storage.backup.APIAttachBackupStorageToZoneMsg"
    about: ClassVar[str] = "backupStorageUuid"

    backupStorageUuid: Annotated[str, Resource(BackupStorageVO)]
    zoneUuid: Annotated[str, Resource(ZoneVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            session.merge(BackupStorageZoneRefVO(backupStorageUuid=self.backupStorageUuid, zoneUuid=self.zoneUuid))
            session.flush()
            return {"inventory": BACKUP.show_one(session, self.backupStorageUuid)}


class DeleteBackupStorage(DeleteResource):
    wire_name: ClassVar[str] = "org.zstack.header.storage.backup.APIDeleteBackupStorageMsg"
    model: ClassVar[type[Base]] = BackupStorageVO

    uuid: Annotated[str, Resource(BackupStorageVO)]


def on_ready(node: "Node") -> None:
    """Connect the backup storages that are already known."""
    backupstorage.connect_all(node)
