"""Who provides which service on which network (since 1.1.0).

Attaching and detaching change the database only. Hosts learn of it when they are reconnected or start a VM.
"""

import uuid
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from sqlalchemy import select
from sqlalchemy.orm import Session

from management.server.apis.networks import L3
from management.server.cascade import Kind, Parent
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller, Resource
from management.server.models.networks import (
    L2NetworkVO,
    L3NetworkVO,
    NetworkServiceL3NetworkRefVO,
    NetworkServiceProviderL2NetworkRefVO,
    NetworkServiceProviderVO,
    NetworkServiceTypeVO,
)
from management.server.query import Inventory, Link, QueryMessage, Values

if TYPE_CHECKING:
    from management.server.node import Node

SERVICE_REF = Inventory(
    "NetworkServiceL3NetworkRefInventory",
    NetworkServiceL3NetworkRefVO,
    ("l3NetworkUuid", "networkServiceProviderUuid", "networkServiceType"),
    order=("id",),
    links=(
        Link("l3Network", "L3NetworkInventory", mine="l3NetworkUuid"),
        Link("serviceProvider", "NetworkServiceProviderInventory", mine="networkServiceProviderUuid"),
    ),
)
PROVIDER = Inventory(
    "NetworkServiceProviderInventory",
    NetworkServiceProviderVO,
    ("uuid", "name", "description", "type", "createDate", "lastOpDate"),
    lists=(
        Values("networkServiceTypes", NetworkServiceTypeVO.type, NetworkServiceTypeVO.networkServiceProviderUuid),
        Values(
            "attachedL2NetworkUuids",
            NetworkServiceProviderL2NetworkRefVO.l2NetworkUuid,
            NetworkServiceProviderL2NetworkRefVO.networkServiceProviderUuid,
        ),
    ),
)
KINDS = (
    Kind(NetworkServiceProviderL2NetworkRefVO, (Parent(L2NetworkVO, "l2NetworkUuid"),)),
    Kind(NetworkServiceL3NetworkRefVO, (Parent(L3NetworkVO, "l3NetworkUuid"),)),
)
BUILT_IN = {
    "Flat": ("Flat Network Service Provider", "Flat Network Service Provider", ("DHCP", "Userdata")),
    "VirtualRouter": (
        "VirtualRouter",
        "zstack virtual router network service provider",
        ("DHCP", "DNS", "SNAT", "PortForwarding", "Eip", "LoadBalancer"),
    ),
}
"""Type to name, description and services of the providers that every install has."""

Services = dict[str, list[str]]
"""Provider's uuid to the services meant."""


class QueryNetworkServiceL3NetworkRef(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIQueryNetworkServiceL3NetworkRefMsg"
    inventory: ClassVar[Inventory] = SERVICE_REF


class QueryNetworkServiceProvider(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIQueryNetworkServiceProviderMsg"
    inventory: ClassVar[Inventory] = PROVIDER


class AttachNetworkServiceProviderToL2Network(ApiMessage):
    """Attaching what is attached already changes nothing."""

    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIAttachNetworkServiceProviderToL2NetworkMsg"
    about: ClassVar[str] = "l2NetworkUuid"

    networkServiceProviderUuid: Annotated[str, Resource(NetworkServiceProviderVO)]
    l2NetworkUuid: Annotated[str, Resource(L2NetworkVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            ref = {"networkServiceProviderUuid": self.networkServiceProviderUuid, "l2NetworkUuid": self.l2NetworkUuid}
            session.merge(NetworkServiceProviderL2NetworkRefVO(**ref))
            session.flush()
            return {"inventory": PROVIDER.show_one(session, self.networkServiceProviderUuid)}


class DetachNetworkServiceProviderFromL2Network(ApiMessage):
    """Refused while an L3 network on the L2 network uses a service of the provider."""

    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIDetachNetworkServiceProviderFromL2NetworkMsg"
    about: ClassVar[str] = "l2NetworkUuid"

    networkServiceProviderUuid: Annotated[str, Resource(NetworkServiceProviderVO)]
    l2NetworkUuid: Annotated[str, Resource(L2NetworkVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        provider, l2 = self.networkServiceProviderUuid, self.l2NetworkUuid
        with node.database.write() as session:
            used = (
                select(L3NetworkVO.uuid)
                .join(NetworkServiceL3NetworkRefVO, NetworkServiceL3NetworkRefVO.l3NetworkUuid == L3NetworkVO.uuid)
                .where(
                    L3NetworkVO.l2NetworkUuid == l2,
                    NetworkServiceL3NetworkRefVO.networkServiceProviderUuid == provider,
                )
            )
            user = session.scalars(used).first()
            if user is not None:
                raise ApiError("SYS.1006", f"L3 network[uuid:{user}] uses services of provider[uuid:{provider}]")
            row = session.get(NetworkServiceProviderL2NetworkRefVO, (provider, l2))
            if row is not None:
                session.delete(row)
            session.flush()
            return {"inventory": PROVIDER.show_one(session, provider)}


class AttachNetworkServiceToL3Network(ApiMessage):
    """`networkServices` maps providers' uuids to services; the provider need not be attached to the L2 network."""

    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIAttachNetworkServiceToL3NetworkMsg"
    about: ClassVar[str] = "l3NetworkUuid"

    l3NetworkUuid: Annotated[str, Resource(L3NetworkVO)]
    networkServices: Services

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            self._check_offer(session)
            self._check_free(session)
            for provider, services in self.networkServices.items():
                for service in services:
                    session.add(
                        NetworkServiceL3NetworkRefVO(
                            l3NetworkUuid=self.l3NetworkUuid,
                            networkServiceProviderUuid=provider,
                            networkServiceType=service,
                        )
                    )
                    # One by one: `id` must follow the caller's order.
                    session.flush()
            return {"inventory": L3.show_one(session, self.l3NetworkUuid)}

    def _check_offer(self, session: Session) -> None:
        if not self.networkServices:
            raise ApiError("SYS.1007", "networkServices must name a provider and its services")
        for provider, services in self.networkServices.items():
            if not services:
                raise ApiError("SYS.1007", f"no service is named for provider[uuid:{provider}]")
            wanted = select(NetworkServiceTypeVO.type).where(
                NetworkServiceTypeVO.networkServiceProviderUuid == provider
            )
            offered = set(session.scalars(wanted))
            if not offered:
                raise ApiError("SYS.1007", f"provider[uuid:{provider}] does not exist or provides nothing")
            lacking = [service for service in services if service not in offered]
            if lacking:
                raise ApiError("SYS.1007", f"provider[uuid:{provider}] does not provide {', '.join(lacking)}")

    def _check_free(self, session: Session) -> None:
        wanted = [service for services in self.networkServices.values() for service in services]
        taken = set(
            session.scalars(
                select(NetworkServiceL3NetworkRefVO.networkServiceType).where(
                    NetworkServiceL3NetworkRefVO.l3NetworkUuid == self.l3NetworkUuid
                )
            )
        )
        doubled = {service for service in wanted if wanted.count(service) > 1 or service in taken}
        if doubled:
            text = f"L3 network[uuid:{self.l3NetworkUuid}] can have each service once: {', '.join(sorted(doubled))}"
            raise ApiError("SYS.1006", text)


class DetachNetworkServiceFromL3Network(ApiMessage):
    """What is not attached is passed over. Virtual routers go on serving until they are destroyed."""

    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIDetachNetworkServiceFromL3NetworkMsg"
    about: ClassVar[str] = "l3NetworkUuid"

    l3NetworkUuid: Annotated[str, Resource(L3NetworkVO)]
    networkServices: Services

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        ref = NetworkServiceL3NetworkRefVO
        with node.database.write() as session:
            for provider, services in self.networkServices.items():
                wanted = select(ref).where(
                    ref.l3NetworkUuid == self.l3NetworkUuid,
                    ref.networkServiceProviderUuid == provider,
                    ref.networkServiceType.in_(services),
                )
                for row in session.scalars(wanted):
                    session.delete(row)
            session.flush()
            return {"inventory": L3.show_one(session, self.l3NetworkUuid)}


def join(node: "Node") -> None:
    """Make the providers that every install has."""
    with node.database.write() as session:
        for kind, (name, description, services) in BUILT_IN.items():
            if session.scalars(select(NetworkServiceProviderVO).where(NetworkServiceProviderVO.type == kind)).first():
                continue
            row = NetworkServiceProviderVO(uuid=uuid.uuid4().hex, name=name, description=description, type=kind)
            session.add(row)
            session.flush()
            session.add_all(NetworkServiceTypeVO(networkServiceProviderUuid=row.uuid, type=s) for s in services)
