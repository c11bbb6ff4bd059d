"""What a VM or a volume may be ordered as (since 1.1.0)."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base
from management.server.models.common import Erasable, Named
from management.server.models.hosts import ZoneVO
from management.server.models.images import ImageVO
from management.server.models.networks import L3NetworkVO


class InstanceOfferingVO(Named, Erasable, Base):
    """`cpuSpeed` is in MHz, `memorySize` in bytes."""

    __tablename__ = "InstanceOfferingEO"
    __mapper_args__ = {"polymorphic_on": "type", "polymorphic_identity": "UserVm"}  # noqa: RUF012

    cpuNum: Mapped[int]
    cpuSpeed: Mapped[int]
    memorySize: Mapped[int]
    type: Mapped[str]
    allocatorStrategy: Mapped[str] = mapped_column(default="LeastVmPreferredHostAllocatorStrategy")
    state: Mapped[str] = mapped_column(default="Enabled")


class VirtualRouterOfferingVO(InstanceOfferingVO):
    __tablename__ = "VirtualRouterOfferingVO"
    __mapper_args__ = {"polymorphic_identity": "VirtualRouter", "polymorphic_load": "selectin"}  # noqa: RUF012

    uuid: Mapped[str] = mapped_column(ForeignKey(InstanceOfferingVO.uuid), primary_key=True)
    zoneUuid: Mapped[str] = mapped_column(ForeignKey(ZoneVO.uuid))
    managementNetworkUuid: Mapped[str] = mapped_column(ForeignKey(L3NetworkVO.uuid))
    publicNetworkUuid: Mapped[str] = mapped_column(ForeignKey(L3NetworkVO.uuid))
    imageUuid: Mapped[str] = mapped_column(ForeignKey(ImageVO.uuid))
    isDefault: Mapped[bool] = mapped_column(default=False)


class DiskOfferingVO(Named, Erasable, Base):
    """`diskSize` is in bytes."""

    __tablename__ = "DiskOfferingEO"

    diskSize: Mapped[int]
    type: Mapped[str] = mapped_column(default="DefaultDiskOfferingType")
    state: Mapped[str] = mapped_column(default="Enabled")
