"""Virtual machines, the virtual routers among them, and their nics (since 1.1.0)."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base
from management.server.models.common import Dated, Erasable, Named
from management.server.models.hosts import ClusterVO, HostVO, ZoneVO
from management.server.models.images import ImageVO
from management.server.models.networks import L3NetworkVO, UsedIpVO
from management.server.models.offerings import InstanceOfferingVO


class VmInstanceVO(Named, Erasable, Base):
    """`cpuSpeed` is in MHz, `memorySize` in bytes. Without a host it runs nowhere.

    `rootVolumeUuid` is no foreign key: volumes refer to their VM, and one direction is enough.
    """

    __tablename__ = "VmInstanceEO"
    __mapper_args__ = {"polymorphic_on": "type", "polymorphic_identity": "UserVm"}  # noqa: RUF012

    zoneUuid: Mapped[str | None] = mapped_column(ForeignKey(ZoneVO.uuid))
    clusterUuid: Mapped[str | None] = mapped_column(ForeignKey(ClusterVO.uuid))
    imageUuid: Mapped[str | None] = mapped_column(ForeignKey(ImageVO.uuid))
    hostUuid: Mapped[str | None] = mapped_column(ForeignKey(HostVO.uuid))
    lastHostUuid: Mapped[str | None] = mapped_column(ForeignKey(HostVO.uuid))
    instanceOfferingUuid: Mapped[str | None] = mapped_column(ForeignKey(InstanceOfferingVO.uuid))
    rootVolumeUuid: Mapped[str | None]
    platform: Mapped[str] = mapped_column(default="Linux")
    defaultL3NetworkUuid: Mapped[str | None] = mapped_column(ForeignKey(L3NetworkVO.uuid))
    type: Mapped[str]
    hypervisorType: Mapped[str] = mapped_column(default="KVM")
    memorySize: Mapped[int]
    cpuNum: Mapped[int]
    cpuSpeed: Mapped[int]
    allocatorStrategy: Mapped[str | None]
    state: Mapped[str] = mapped_column(default="Created")


class VirtualRouterVmVO(VmInstanceVO):
    """A VM of ours that serves an L3 network."""

    __tablename__ = "VirtualRouterVmVO"
    __mapper_args__ = {"polymorphic_identity": "ApplianceVm", "polymorphic_load": "selectin"}  # noqa: RUF012

    uuid: Mapped[str] = mapped_column(ForeignKey(VmInstanceVO.uuid), primary_key=True)
    applianceVmType: Mapped[str] = mapped_column(default="VirtualRouter")
    managementNetworkUuid: Mapped[str] = mapped_column(ForeignKey(L3NetworkVO.uuid))
    defaultRouteL3NetworkUuid: Mapped[str] = mapped_column(ForeignKey(L3NetworkVO.uuid))
    publicNetworkUuid: Mapped[str] = mapped_column(ForeignKey(L3NetworkVO.uuid))
    status: Mapped[str] = mapped_column(default="Connecting")


class VmNicVO(Dated, Base):
    """`metaData` of a virtual router's nic is a bit mask: 1 public, 2 management, 4 guest."""

    __tablename__ = "VmNicVO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    vmInstanceUuid: Mapped[str] = mapped_column(ForeignKey(VmInstanceVO.uuid))
    l3NetworkUuid: Mapped[str] = mapped_column(ForeignKey(L3NetworkVO.uuid))
    usedIpUuid: Mapped[str | None] = mapped_column(ForeignKey(UsedIpVO.uuid))
    ip: Mapped[str]
    netmask: Mapped[str]
    gateway: Mapped[str]
    mac: Mapped[str]
    deviceId: Mapped[int]
    metaData: Mapped[str | None]
