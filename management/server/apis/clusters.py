"""Clusters (since 1.1.0)."""

from typing import Annotated, ClassVar, Literal

from management.server.cascade import Kind, Parent
from management.server.messages import Resource
from management.server.models import Base
from management.server.models.hosts import ClusterVO, ZoneVO
from management.server.query import Inventory, Link, QueryMessage
from management.server.resources import ChangeState, CreateResource, DeleteResource

CLUSTER = Inventory(
    "ClusterInventory",
    ClusterVO,
    ("uuid", "name", "description", "state", "hypervisorType", "zoneUuid", "type", "createDate", "lastOpDate"),
    alive="deleted",
    links=(
        Link("zone", "ZoneInventory", mine="zoneUuid"),
        Link("host", "KVMHostInventory", theirs="clusterUuid"),
    ),
)
KIND = Kind(ClusterVO, (Parent(ZoneVO, "zoneUuid"),))


class QueryCluster(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.cluster.APIQueryClusterMsg"
    inventory: ClassVar[Inventory] = CLUSTER


class CreateCluster(CreateResource):
    wire_name: ClassVar[str] = "org.zstack.header.cluster.APICreateClusterMsg"
    inventory: ClassVar[Inventory] = CLUSTER

    zoneUuid: Annotated[str, Resource(ZoneVO)]
    hypervisorType: Literal["KVM"] = "KVM"


class ChangeClusterState(ChangeState):
    wire_name: ClassVar[str] = "org.zstack.header.cluster.APIChangeClusterStateMsg"
    inventory: ClassVar[Inventory] = CLUSTER

    uuid: Annotated[str, Resource(ClusterVO)]


class DeleteCluster(DeleteResource):
    wire_name: ClassVar[str] = "org.zstack.header.cluster.APIDeleteClusterMsg"
    model: ClassVar[type[Base]] = ClusterVO

    uuid: Annotated[str, Resource(ClusterVO)]
