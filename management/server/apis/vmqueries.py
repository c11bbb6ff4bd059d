"""How VMs, their nics and virtual routers look, and asking for them (since 1.1.0)."""

from typing import ClassVar

from management.server.models.vms import VirtualRouterVmVO, VmInstanceVO, VmNicVO
from management.server.query import Inventory, Link, QueryMessage

NIC = Inventory(
    "VmNicInventory",
    VmNicVO,
    (
        "uuid",
        "vmInstanceUuid",
        "l3NetworkUuid",
        "ip",
        "netmask",
        "gateway",
        "mac",
        "deviceId",
        "metaData",
        "createDate",
        "lastOpDate",
    ),
    order=("deviceId", "uuid"),
    links=(
        Link("vmInstance", "VmInstanceInventory", mine="vmInstanceUuid"),
        Link("l3Network", "L3NetworkInventory", mine="l3NetworkUuid"),
    ),
)
VM_FIELDS = (
    "uuid",
    "name",
    "description",
    "zoneUuid",
    "clusterUuid",
    "imageUuid",
    "hostUuid",
    "lastHostUuid",
    "instanceOfferingUuid",
    "rootVolumeUuid",
    "platform",
    "defaultL3NetworkUuid",
    "type",
    "hypervisorType",
    "memorySize",
    "cpuNum",
    "cpuSpeed",
    "allocatorStrategy",
    "createDate",
    "lastOpDate",
    "state",
)
VM_LINKS = (
    Link("vmNics", "VmNicInventory", theirs="vmInstanceUuid", shown=True),
    Link("allVolumes", "VolumeInventory", theirs="vmInstanceUuid", shown=True),
    Link("host", "KVMHostInventory", mine="hostUuid"),
    Link("cluster", "ClusterInventory", mine="clusterUuid"),
    Link("zone", "ZoneInventory", mine="zoneUuid"),
    Link("image", "ImageInventory", mine="imageUuid"),
    Link("instanceOffering", "InstanceOfferingInventory", mine="instanceOfferingUuid"),
    Link("rootVolume", "VolumeInventory", mine="rootVolumeUuid"),
    Link("defaultL3Network", "L3NetworkInventory", mine="defaultL3NetworkUuid"),
)
VIRTUAL_ROUTER = Inventory(
    "VirtualRouterVmInventory",
    VirtualRouterVmVO,
    (
        *VM_FIELDS,
        "applianceVmType",
        "managementNetworkUuid",
        "defaultRouteL3NetworkUuid",
        "publicNetworkUuid",
        "status",
    ),
    alive="deleted",
    links=VM_LINKS,
)
VM = Inventory(
    "VmInstanceInventory", VmInstanceVO, VM_FIELDS, alive="deleted", links=VM_LINKS, narrower=(VIRTUAL_ROUTER,)
)


class QueryVmInstance(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.vm.APIQueryVmInstanceMsg"
    inventory: ClassVar[Inventory] = VM


class QueryVmNic(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.vm.APIQueryVmNicMsg"
    inventory: ClassVar[Inventory] = NIC


class QueryVirtualRouterVm(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.network.service.virtualrouter.APIQueryVirtualRouterVmMsg"
    inventory: ClassVar[Inventory] = VIRTUAL_ROUTER
