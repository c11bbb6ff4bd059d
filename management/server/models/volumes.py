"""Volumes and the trees of their snapshots (since 1.1.0)."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base
from management.server.models.common import Dated, Erasable, Named
from management.server.models.hosts import HostVO
from management.server.models.images import ImageVO
from management.server.models.offerings import DiskOfferingVO
from management.server.models.storage import PrimaryStorageVO
from management.server.models.vms import VmInstanceVO


class VolumeVO(Named, Erasable, Base):
    """`size` is in bytes. A data volume exists on storage only once it has been attached (status Ready)."""

    __tablename__ = "VolumeEO"

    primaryStorageUuid: Mapped[str | None] = mapped_column(ForeignKey(PrimaryStorageVO.uuid))
    vmInstanceUuid: Mapped[str | None] = mapped_column(ForeignKey(VmInstanceVO.uuid))
    diskOfferingUuid: Mapped[str | None] = mapped_column(ForeignKey(DiskOfferingVO.uuid))
    rootImageUuid: Mapped[str | None] = mapped_column(ForeignKey(ImageVO.uuid))
    installPath: Mapped[str | None]
    type: Mapped[str]
    format: Mapped[str] = mapped_column(default="qcow2")
    size: Mapped[int]
    deviceId: Mapped[int | None]
    state: Mapped[str] = mapped_column(default="Enabled")
    status: Mapped[str] = mapped_column(default="NotInstantiated")


class VolumeSnapshotTreeVO(Dated, Erasable, Base):
    """The snapshots of a volume since it was made; `current` is the tree that grows."""

    __tablename__ = "VolumeSnapshotTreeEO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    volumeUuid: Mapped[str] = mapped_column(ForeignKey(VolumeVO.uuid))
    current: Mapped[bool] = mapped_column(default=True)


class VolumeSnapshotVO(Named, Erasable, Base):
    """`latest` is the one that the next snapshot becomes a child of."""

    __tablename__ = "VolumeSnapshotEO"

    type: Mapped[str] = mapped_column(default="Hypervisor")
    volumeUuid: Mapped[str] = mapped_column(ForeignKey(VolumeVO.uuid))
    treeUuid: Mapped[str] = mapped_column(ForeignKey(VolumeSnapshotTreeVO.uuid))
    parentUuid: Mapped[str | None] = mapped_column(ForeignKey("VolumeSnapshotEO.uuid"))
    primaryStorageUuid: Mapped[str] = mapped_column(ForeignKey(PrimaryStorageVO.uuid))
    primaryStorageInstallPath: Mapped[str]
    volumeType: Mapped[str]
    format: Mapped[str] = mapped_column(default="qcow2")
    size: Mapped[int]
    latest: Mapped[bool]
    state: Mapped[str] = mapped_column(default="Enabled")
    status: Mapped[str] = mapped_column(default="Ready")


class LocalStorageResourceRefVO(Dated, Base):
    """On which host's own storage a volume's file lies."""

    __tablename__ = "LocalStorageResourceRefVO"

    resourceUuid: Mapped[str] = mapped_column(ForeignKey(VolumeVO.uuid), primary_key=True)
    resourceType: Mapped[str] = mapped_column(default="VolumeVO")
    primaryStorageUuid: Mapped[str] = mapped_column(ForeignKey(PrimaryStorageVO.uuid))
    hostUuid: Mapped[str] = mapped_column(ForeignKey(HostVO.uuid))
    size: Mapped[int]
