"""Zones (since 1.1.0)."""

from typing import Annotated, ClassVar

from management.server.cascade import Kind
from management.server.messages import Resource
from management.server.models import Base
from management.server.models.hosts import ZoneVO
from management.server.query import Inventory, QueryMessage
from management.server.resources import ChangeState, CreateResource, DeleteResource

ZONE = Inventory(
    "ZoneInventory",
    ZoneVO,
    ("uuid", "name", "description", "state", "type", "createDate", "lastOpDate"),
    alive="deleted",
)
KIND = Kind(ZoneVO)


class QueryZone(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.zone.APIQueryZoneMsg"
    inventory: ClassVar[Inventory] = ZONE


class CreateZone(CreateResource):
    wire_name: ClassVar[str] = "org.zstack.header.zone.APICreateZoneMsg"
    inventory: ClassVar[Inventory] = ZONE


class ChangeZoneState(ChangeState):
    wire_name: ClassVar[str] = "org.zstack.header.zone.APIChangeZoneStateMsg"
    inventory: ClassVar[Inventory] = ZONE

    uuid: Annotated[str, Resource(ZoneVO)]


class DeleteZone(DeleteResource):
    wire_name: ClassVar[str] = "org.zstack.header.zone.APIDeleteZoneMsg"
    model: ClassVar[type[Base]] = ZoneVO

    uuid: Annotated[str, Resource(ZoneVO)]
