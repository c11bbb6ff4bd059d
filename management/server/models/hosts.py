"""Zones, clusters and hosts. Hosts are deleted softly: `deleted` says when."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base


class ZoneVO(Base):
    __tablename__ = "ZoneEO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    createDate: Mapped[datetime]
    lastOpDate: Mapped[datetime]


class ClusterVO(Base):
    __tablename__ = "ClusterEO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    zoneUuid: Mapped[str] = mapped_column(ForeignKey(ZoneVO.uuid))
    name: Mapped[str]
    createDate: Mapped[datetime]
    lastOpDate: Mapped[datetime]


class HostVO(Base):
    """A KVM host. CPU capacity is in MHz x cores, memory in bytes."""

    __tablename__ = "HostEO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    zoneUuid: Mapped[str] = mapped_column(ForeignKey(ZoneVO.uuid))
    clusterUuid: Mapped[str] = mapped_column(ForeignKey(ClusterVO.uuid))
    name: Mapped[str]
    description: Mapped[str | None]
    managementIp: Mapped[str]
    hypervisorType: Mapped[str]
    state: Mapped[str]
    status: Mapped[str]
    username: Mapped[str]
    sshPort: Mapped[int]
    totalCpuCapacity: Mapped[int] = mapped_column(default=0)
    availableCpuCapacity: Mapped[int] = mapped_column(default=0)
    totalMemoryCapacity: Mapped[int] = mapped_column(default=0)
    availableMemoryCapacity: Mapped[int] = mapped_column(default=0)
    deleted: Mapped[datetime | None]
    createDate: Mapped[datetime]
    lastOpDate: Mapped[datetime]
