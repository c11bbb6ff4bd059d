"""L2 and L3 networks, their address ranges and name servers (since 1.1.0)."""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Network
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from management.server.cascade import Kind, Parent
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller, Resource
from management.server.models import Base
from management.server.models.hosts import ClusterVO, ZoneVO
from management.server.models.networks import (
    IpRangeVO,
    L2NetworkClusterRefVO,
    L2NetworkVO,
    L3NetworkDnsVO,
    L3NetworkVO,
    NetworkServiceProviderL2NetworkRefVO,
    NetworkServiceProviderVO,
    UsedIpVO,
)
from management.server.query import Inventory, Link, QueryMessage, Values
from management.server.resources import ChangeState, CreateResource, DeleteResource

if TYPE_CHECKING:
    from management.server.node import Node

L2 = Inventory(
    "L2NetworkInventory",
    L2NetworkVO,
    ("uuid", "name", "description", "zoneUuid", "physicalInterface", "type", "createDate", "lastOpDate"),
    alive="deleted",
    links=(
        Link("zone", "ZoneInventory", mine="zoneUuid"),
        Link("l3Network", "L3NetworkInventory", theirs="l2NetworkUuid"),
    ),
    lists=(Values("attachedClusterUuids", L2NetworkClusterRefVO.clusterUuid, L2NetworkClusterRefVO.l2NetworkUuid),),
)
IP_RANGE = Inventory(
    "IpRangeInventory",
    IpRangeVO,
    (
        "uuid",
        "l3NetworkUuid",
        "name",
        "description",
        "startIp",
        "endIp",
        "netmask",
        "gateway",
        "networkCidr",
        "createDate",
        "lastOpDate",
    ),
    alive="deleted",
    links=(Link("l3Network", "L3NetworkInventory", mine="l3NetworkUuid"),),
)
L3 = Inventory(
    "L3NetworkInventory",
    L3NetworkVO,
    (
        "uuid",
        "name",
        "description",
        "type",
        "zoneUuid",
        "l2NetworkUuid",
        "state",
        "dnsDomain",
        "system",
        "createDate",
        "lastOpDate",
    ),
    alive="deleted",
    links=(
        Link("ipRanges", "IpRangeInventory", theirs="l3NetworkUuid", shown=True),
        Link("networkServices", "NetworkServiceL3NetworkRefInventory", theirs="l3NetworkUuid", shown=True),
        Link("l2Network", "L2NetworkInventory", mine="l2NetworkUuid"),
        Link("zone", "ZoneInventory", mine="zoneUuid"),
        Link("vmNic", "VmNicInventory", theirs="l3NetworkUuid"),
    ),
    lists=(Values("dns", L3NetworkDnsVO.dns, L3NetworkDnsVO.l3NetworkUuid),),
)
KINDS = (
    Kind(L2NetworkVO, (Parent(ZoneVO, "zoneUuid"),)),
    Kind(L2NetworkClusterRefVO, (Parent(L2NetworkVO, "l2NetworkUuid"), Parent(ClusterVO, "clusterUuid"))),
    Kind(L3NetworkVO, (Parent(L2NetworkVO, "l2NetworkUuid"),)),
    Kind(L3NetworkDnsVO, (Parent(L3NetworkVO, "l3NetworkUuid"),)),
    Kind(IpRangeVO, (Parent(L3NetworkVO, "l3NetworkUuid"),)),
    Kind(UsedIpVO, (Parent(IpRangeVO, "ipRangeUuid"),)),
)


class QueryL2Network(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.network.l2.APIQueryL2NetworkMsg"
    inventory: ClassVar[Inventory] = L2


class CreateL2NoVlanNetwork(CreateResource):
    """The network providers of this release are attached to it."""

    wire_name: ClassVar[str] = "org.zstack.header.network.l2.APICreateL2NoVlanNetworkMsg"
    inventory: ClassVar[Inventory] = L2

    zoneUuid: Annotated[str, Resource(ZoneVO)]
    physicalInterface: str = Field(pattern=r"^[A-Za-z0-9_.@-]{1,15}$")

    def after(self, session: Session, row: Any) -> None:
        for provider in session.scalars(select(NetworkServiceProviderVO.uuid)).all():
            ref = {"networkServiceProviderUuid": provider, "l2NetworkUuid": row.uuid}
            session.add(NetworkServiceProviderL2NetworkRefVO(**ref))


class AttachL2NetworkToCluster(ApiMessage):
    """Attaching what is attached already changes nothing."""

    wire_name: ClassVar[str] = "org.zstack.header.network.l2.APIAttachL2NetworkToClusterMsg"
    about: ClassVar[str] = "l2NetworkUuid"

    l2NetworkUuid: Annotated[str, Resource(L2NetworkVO)]
    clusterUuid: Annotated[str, Resource(ClusterVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            session.merge(L2NetworkClusterRefVO(l2NetworkUuid=self.l2NetworkUuid, clusterUuid=self.clusterUuid))
            session.flush()
            return {"inventory": L2.show_one(session, self.l2NetworkUuid)}


class DeleteL2Network(DeleteResource):
    wire_name: ClassVar[str] = "org.zstack.header.network.l2.APIDeleteL2NetworkMsg"
    model: ClassVar[type[Base]] = L2NetworkVO

    uuid: Annotated[str, Resource(L2NetworkVO)]


class QueryL3Network(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIQueryL3NetworkMsg"
    inventory: ClassVar[Inventory] = L3


class CreateL3Network(CreateResource):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APICreateL3NetworkMsg"
    inventory: ClassVar[Inventory] = L3

    l2NetworkUuid: Annotated[str, Resource(L2NetworkVO)]
    system: bool = False
    dnsDomain: str | None = Field(default=None, max_length=255)

    def prepare(self, session: Session) -> Mapping[str, Any]:
        return {"zoneUuid": session.get_one(L2NetworkVO, self.l2NetworkUuid).zoneUuid}


class ChangeL3NetworkState(ChangeState):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIChangeL3NetworkStateMsg"
    inventory: ClassVar[Inventory] = L3

    uuid: Annotated[str, Resource(L3NetworkVO)]


class DeleteL3Network(DeleteResource):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIDeleteL3NetworkMsg"
    model: ClassVar[type[Base]] = L3NetworkVO

    uuid: Annotated[str, Resource(L3NetworkVO)]


class QueryIpRange(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIQueryIpRangeMsg"
    inventory: ClassVar[Inventory] = IP_RANGE


class AddIpRange(CreateResource):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIAddIpRangeMsg"
    inventory: ClassVar[Inventory] = IP_RANGE

    l3NetworkUuid: Annotated[str, Resource(L3NetworkVO)]
    startIp: IPv4Address
    endIp: IPv4Address
    netmask: IPv4Address
    gateway: IPv4Address

    def prepare(self, session: Session) -> Mapping[str, Any]:
        try:
            network = IPv4Network(f"{self.gateway}/{self.netmask}", strict=False)
        except ValueError as error:
            raise ApiError("SYS.1007", f"netmask[{self.netmask}] is not a network mask") from error
        outside = [str(ip) for ip in (self.startIp, self.endIp) if ip not in network]
        if outside:
            raise ApiError("SYS.1007", f"{', '.join(outside)}: not in the gateway's network {network}")
        if self.startIp > self.endIp or self.startIp <= self.gateway <= self.endIp:
            text = f"the range {self.startIp} to {self.endIp} must go upwards and leave the gateway {self.gateway} out"
            raise ApiError("SYS.1007", text)
        others = select(IpRangeVO).where(IpRangeVO.l3NetworkUuid == self.l3NetworkUuid, IpRangeVO.deleted.is_(None))
        for other in session.scalars(others):
            if self.startIp <= IPv4Address(other.endIp) and IPv4Address(other.startIp) <= self.endIp:
                raise ApiError("SYS.1007", f"the range overlaps with {other.name}: {other.startIp} to {other.endIp}")
        names = ("startIp", "endIp", "netmask", "gateway")
        return {**{name: str(getattr(self, name)) for name in names}, "networkCidr": str(network)}


class DeleteIpRange(DeleteResource):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIDeleteIpRangeMsg"
    model: ClassVar[type[Base]] = IpRangeVO

    uuid: Annotated[str, Resource(IpRangeVO)]


class AddDnsToL3Network(ApiMessage):
    """Adding what is there already changes nothing."""

    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIAddDnsToL3NetworkMsg"
    about: ClassVar[str] = "l3NetworkUuid"

    l3NetworkUuid: Annotated[str, Resource(L3NetworkVO)]
    dns: IPv4Address

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            session.merge(L3NetworkDnsVO(l3NetworkUuid=self.l3NetworkUuid, dns=str(self.dns)))
            session.flush()
            return {"inventory": L3.show_one(session, self.l3NetworkUuid)}


class RemoveDnsFromL3Network(ApiMessage):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIRemoveDnsFromL3NetworkMsg"
    about: ClassVar[str] = "l3NetworkUuid"

    l3NetworkUuid: Annotated[str, Resource(L3NetworkVO)]
    dns: IPv4Address

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            row = session.get(L3NetworkDnsVO, (self.l3NetworkUuid, str(self.dns)))
            if row is not None:
                session.delete(row)
            session.flush()
            return {"inventory": L3.show_one(session, self.l3NetworkUuid)}
