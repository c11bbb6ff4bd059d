"""L2 and L3 networks, their addresses, and who provides which service on them (since 1.1.0)."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base
from management.server.models.common import Dated, Erasable, Named
from management.server.models.hosts import ClusterVO, ZoneVO


class L2NetworkVO(Named, Erasable, Base):
    __tablename__ = "L2NetworkEO"

    zoneUuid: Mapped[str] = mapped_column(ForeignKey(ZoneVO.uuid))
    physicalInterface: Mapped[str]
    type: Mapped[str] = mapped_column(default="L2NoVlanNetwork")


class L2NetworkClusterRefVO(Base):
    __tablename__ = "L2NetworkClusterRefVO"

    l2NetworkUuid: Mapped[str] = mapped_column(ForeignKey(L2NetworkVO.uuid), primary_key=True)
    clusterUuid: Mapped[str] = mapped_column(ForeignKey(ClusterVO.uuid), primary_key=True)


class L3NetworkVO(Named, Erasable, Base):
    """A network with addresses. On a `system` one no user's VM may be."""

    __tablename__ = "L3NetworkEO"

    type: Mapped[str] = mapped_column(default="L3BasicNetwork")
    zoneUuid: Mapped[str] = mapped_column(ForeignKey(ZoneVO.uuid))
    l2NetworkUuid: Mapped[str] = mapped_column(ForeignKey(L2NetworkVO.uuid))
    state: Mapped[str] = mapped_column(default="Enabled")
    dnsDomain: Mapped[str | None]
    system: Mapped[bool] = mapped_column(default=False)


class L3NetworkDnsVO(Base):
    __tablename__ = "L3NetworkDnsVO"

    l3NetworkUuid: Mapped[str] = mapped_column(ForeignKey(L3NetworkVO.uuid), primary_key=True)
    dns: Mapped[str] = mapped_column(primary_key=True)


class IpRangeVO(Named, Erasable, Base):
    """Addresses from `startIp` to `endIp`, both included."""

    __tablename__ = "IpRangeEO"

    l3NetworkUuid: Mapped[str] = mapped_column(ForeignKey(L3NetworkVO.uuid))
    startIp: Mapped[str]
    endIp: Mapped[str]
    netmask: Mapped[str]
    gateway: Mapped[str]
    networkCidr: Mapped[str | None]


class UsedIpVO(Dated, Base):
    """An address that is taken. An L3 network gives each address once."""

    __tablename__ = "UsedIpVO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    ipRangeUuid: Mapped[str] = mapped_column(ForeignKey(IpRangeVO.uuid))
    l3NetworkUuid: Mapped[str] = mapped_column(ForeignKey(L3NetworkVO.uuid))
    ip: Mapped[str]


class NetworkServiceProviderVO(Named, Base):
    __tablename__ = "NetworkServiceProviderVO"

    type: Mapped[str]


class NetworkServiceTypeVO(Base):
    """A service that a provider can give."""

    __tablename__ = "NetworkServiceTypeVO"

    networkServiceProviderUuid: Mapped[str] = mapped_column(ForeignKey(NetworkServiceProviderVO.uuid), primary_key=True)
    type: Mapped[str] = mapped_column(primary_key=True)


class NetworkServiceProviderL2NetworkRefVO(Base):
    __tablename__ = "NetworkServiceProviderL2NetworkRefVO"

    networkServiceProviderUuid: Mapped[str] = mapped_column(ForeignKey(NetworkServiceProviderVO.uuid), primary_key=True)
    l2NetworkUuid: Mapped[str] = mapped_column(ForeignKey(L2NetworkVO.uuid), primary_key=True)


class NetworkServiceL3NetworkRefVO(Base):
    """A service in use on an L3 network. `id` keeps the order in which services were attached."""

    __tablename__ = "NetworkServiceL3NetworkRefVO"

    id: Mapped[int] = mapped_column(primary_key=True)
    l3NetworkUuid: Mapped[str] = mapped_column(ForeignKey(L3NetworkVO.uuid))
    networkServiceProviderUuid: Mapped[str] = mapped_column(ForeignKey(NetworkServiceProviderVO.uuid))
    networkServiceType: Mapped[str]
