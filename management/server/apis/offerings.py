"""Instance, virtual router and disk offerings (since 1.1.0)."""

from typing import Annotated, ClassVar

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from management.server.cascade import Kind, Parent
from management.server.messages import Resource
from management.server.models import Base
from management.server.models.hosts import ZoneVO
from management.server.models.images import ImageVO
from management.server.models.networks import L3NetworkVO
from management.server.models.offerings import DiskOfferingVO, InstanceOfferingVO, VirtualRouterOfferingVO
from management.server.query import Inventory, QueryMessage
from management.server.resources import ChangeState, CreateResource, DeleteResource

SIZES = (
    "uuid",
    "name",
    "description",
    "cpuNum",
    "cpuSpeed",
    "memorySize",
    "type",
    "allocatorStrategy",
    "state",
    "createDate",
    "lastOpDate",
)
ROUTER_OFFERING = Inventory(
    "VirtualRouterOfferingInventory",
    VirtualRouterOfferingVO,
    (*SIZES, "zoneUuid", "managementNetworkUuid", "publicNetworkUuid", "imageUuid", "isDefault"),
    alive="deleted",
)
INSTANCE_OFFERING = Inventory(
    "InstanceOfferingInventory", InstanceOfferingVO, SIZES, alive="deleted", narrower=(ROUTER_OFFERING,)
)
DISK_OFFERING = Inventory(
    "DiskOfferingInventory",
    DiskOfferingVO,
    ("uuid", "name", "description", "diskSize", "type", "state", "createDate", "lastOpDate"),
    alive="deleted",
)
KINDS = (
    Kind(InstanceOfferingVO),
    Kind(
        VirtualRouterOfferingVO,
        (
            Parent(ImageVO, "imageUuid"),
            Parent(ZoneVO, "zoneUuid"),
            Parent(L3NetworkVO, "managementNetworkUuid"),
            Parent(L3NetworkVO, "publicNetworkUuid"),
        ),
    ),
    Kind(DiskOfferingVO),
)


class CreateSized(CreateResource):
    """What all instance offerings say. Speeds are in MHz, sizes in bytes."""

    cpuNum: int = Field(ge=1, le=1024)
    cpuSpeed: int = Field(ge=1)
    memorySize: int = Field(ge=16 << 20)
    allocatorStrategy: str = "LeastVmPreferredHostAllocatorStrategy"


class QueryInstanceOffering(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APIQueryInstanceOfferingMsg"
    inventory: ClassVar[Inventory] = INSTANCE_OFFERING


class CreateInstanceOffering(CreateSized):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APICreateInstanceOfferingMsg"
    inventory: ClassVar[Inventory] = INSTANCE_OFFERING


class ChangeInstanceOfferingState(ChangeState):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APIChangeInstanceOfferingStateMsg"
    inventory: ClassVar[Inventory] = INSTANCE_OFFERING

    uuid: Annotated[str, Resource(InstanceOfferingVO)]


class DeleteInstanceOffering(DeleteResource):
    """Deletes virtual router offerings too."""

    wire_name: ClassVar[str] = "org.zstack.header.configuration.APIDeleteInstanceOfferingMsg"
    model: ClassVar[type[Base]] = InstanceOfferingVO

    uuid: Annotated[str, Resource(InstanceOfferingVO)]


class QueryVirtualRouterOffering(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.network.service.virtualrouter.APIQueryVirtualRouterOfferingMsg"
    inventory: ClassVar[Inventory] = ROUTER_OFFERING


class CreateVirtualRouterOffering(CreateSized):
    """The first one of a zone is its default; a new default takes the place of the old one."""

    wire_name: ClassVar[str] = "org.zstack.network.service.virtualrouter.APICreateVirtualRouterOfferingMsg"
    inventory: ClassVar[Inventory] = ROUTER_OFFERING

    zoneUuid: Annotated[str, Resource(ZoneVO)]
    managementNetworkUuid: Annotated[str, Resource(L3NetworkVO)]
    publicNetworkUuid: Annotated[str | None, Resource(L3NetworkVO)] = None
    imageUuid: Annotated[str, Resource(ImageVO)]
    isDefault: bool | None = None

    def prepare(self, session: Session) -> dict[str, object]:
        model = VirtualRouterOfferingVO
        wanted = select(model).where(model.zoneUuid == self.zoneUuid, model.isDefault, model.deleted.is_(None))
        defaults = session.scalars(wanted).all()
        if self.isDefault:
            for row in defaults:
                row.isDefault = False
        public = self.publicNetworkUuid or self.managementNetworkUuid
        return {"publicNetworkUuid": public, "isDefault": not defaults if self.isDefault is None else self.isDefault}


class QueryDiskOffering(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APIQueryDiskOfferingMsg"
    inventory: ClassVar[Inventory] = DISK_OFFERING


class CreateDiskOffering(CreateResource):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APICreateDiskOfferingMsg"
    inventory: ClassVar[Inventory] = DISK_OFFERING

    diskSize: int = Field(ge=1 << 20)


class DeleteDiskOffering(DeleteResource):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APIDeleteDiskOfferingMsg"
    model: ClassVar[type[Base]] = DiskOfferingVO

    uuid: Annotated[str, Resource(DiskOfferingVO)]
