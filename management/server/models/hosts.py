"""Zones, clusters and hosts."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base
from management.server.models.common import Erasable, Named


class ZoneVO(Named, Erasable, Base):
    """The largest unit: what is in different zones has nothing in common."""

    __tablename__ = "ZoneEO"

    state: Mapped[str] = mapped_column(default="Enabled")
    type: Mapped[str] = mapped_column(default="zstack")


class ClusterVO(Named, Erasable, Base):
    """Hosts of one kind that share networks and storage."""

    __tablename__ = "ClusterEO"

    zoneUuid: Mapped[str] = mapped_column(ForeignKey(ZoneVO.uuid))
    hypervisorType: Mapped[str] = mapped_column(default="KVM")
    state: Mapped[str] = mapped_column(default="Enabled")
    type: Mapped[str] = mapped_column(default="zstack")


class HostVO(Named, Erasable, Base):
    """A KVM host. CPU capacity is in MHz x cores, memory in bytes."""

    __tablename__ = "HostEO"

    zoneUuid: Mapped[str] = mapped_column(ForeignKey(ZoneVO.uuid))
    clusterUuid: Mapped[str] = mapped_column(ForeignKey(ClusterVO.uuid))
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
