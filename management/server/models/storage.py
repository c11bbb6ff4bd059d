"""Primary storage, where VMs' volumes lie, and backup storage, where images lie (since 1.1.0)."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base
from management.server.models.common import Erasable, Named
from management.server.models.hosts import ClusterVO, ZoneVO
from management.server.models.images import ImageVO


class PrimaryStorageVO(Named, Erasable, Base):
    """Capacities are in bytes. `url` is the folder on each host (LocalStorage)."""

    __tablename__ = "PrimaryStorageEO"

    zoneUuid: Mapped[str] = mapped_column(ForeignKey(ZoneVO.uuid))
    url: Mapped[str]
    type: Mapped[str] = mapped_column(default="LocalStorage")
    state: Mapped[str] = mapped_column(default="Enabled")
    status: Mapped[str] = mapped_column(default="Connected")
    totalCapacity: Mapped[int] = mapped_column(default=0)
    availableCapacity: Mapped[int] = mapped_column(default=0)


class PrimaryStorageClusterRefVO(Base):
    __tablename__ = "PrimaryStorageClusterRefVO"

    primaryStorageUuid: Mapped[str] = mapped_column(ForeignKey(PrimaryStorageVO.uuid), primary_key=True)
    clusterUuid: Mapped[str] = mapped_column(ForeignKey(ClusterVO.uuid), primary_key=True)


class BackupStorageVO(Named, Erasable, Base):
    """A folder on a host that is reached over SSH. Capacities are in bytes."""

    __tablename__ = "BackupStorageEO"

    url: Mapped[str]
    type: Mapped[str] = mapped_column(default="SftpBackupStorage")
    state: Mapped[str] = mapped_column(default="Enabled")
    status: Mapped[str] = mapped_column(default="Connected")
    hostname: Mapped[str]
    username: Mapped[str]
    totalCapacity: Mapped[int] = mapped_column(default=0)
    availableCapacity: Mapped[int] = mapped_column(default=0)


class BackupStorageZoneRefVO(Base):
    __tablename__ = "BackupStorageZoneRefVO"

    backupStorageUuid: Mapped[str] = mapped_column(ForeignKey(BackupStorageVO.uuid), primary_key=True)
    zoneUuid: Mapped[str] = mapped_column(ForeignKey(ZoneVO.uuid), primary_key=True)


class ImageBackupStorageRefVO(Base):
    __tablename__ = "ImageBackupStorageRefVO"

    imageUuid: Mapped[str] = mapped_column(ForeignKey(ImageVO.uuid), primary_key=True)
    backupStorageUuid: Mapped[str] = mapped_column(ForeignKey(BackupStorageVO.uuid), primary_key=True)
    installPath: Mapped[str]
    status: Mapped[str]
