"""Every call of this release, and what it answers. Written by `make client` from the server's classes."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict

from management.client.calls import Call, Condition, Many, One


class AccountInventory(TypedDict, total=False):
    uuid: str
    name: str
    createDate: str
    lastOpDate: str


class AuditInventory(TypedDict, total=False):
    id: int
    resourceType: str
    resourceUuid: str
    action: str
    changes: str
    accountUuid: str
    apiName: str
    createDate: str


class ClusterInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    state: str
    hypervisorType: str
    zoneUuid: str
    type: str
    createDate: str
    lastOpDate: str


class ConsoleProxyAgentInventory(TypedDict, total=False):
    uuid: str
    description: str
    managementIp: str
    type: str
    status: str
    state: str
    createDate: str
    lastOpDate: str


class DiskOfferingInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    diskSize: int
    type: str
    state: str
    createDate: str
    lastOpDate: str


class GCJobInventory(TypedDict, total=False):
    uuid: str
    name: str
    type: str
    runnerClass: str
    context: str
    status: str
    managementNodeUuid: str
    executedTimes: int
    lastError: str
    createDate: str
    lastOpDate: str


class GlobalConfigInventory(TypedDict, total=False):
    category: str
    name: str
    description: str
    defaultValue: str
    value: str


class ImageBackupStorageRefInventory(TypedDict, total=False):
    imageUuid: str
    backupStorageUuid: str
    installPath: str
    status: str


class ImageInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    url: str
    format: str
    mediaType: str
    platform: str
    state: str
    status: str
    size: int
    virtualSize: int
    digest: str
    system: bool
    createDate: str
    lastOpDate: str
    backupStorageRefs: "list[ImageBackupStorageRefInventory]"


class InstanceOfferingInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    cpuNum: int
    cpuSpeed: int
    memorySize: int
    type: str
    allocatorStrategy: str
    state: str
    createDate: str
    lastOpDate: str


class IpRangeInventory(TypedDict, total=False):
    uuid: str
    l3NetworkUuid: str
    name: str
    description: str
    startIp: str
    endIp: str
    netmask: str
    gateway: str
    networkCidr: str
    createDate: str
    lastOpDate: str


class KVMHostInventory(TypedDict, total=False):
    uuid: str
    zoneUuid: str
    clusterUuid: str
    name: str
    description: str
    managementIp: str
    hypervisorType: str
    state: str
    status: str
    totalCpuCapacity: int
    availableCpuCapacity: int
    totalMemoryCapacity: int
    availableMemoryCapacity: int
    username: str
    createDate: str
    lastOpDate: str


class L2NetworkInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    zoneUuid: str
    physicalInterface: str
    type: str
    createDate: str
    lastOpDate: str
    attachedClusterUuids: list[str]


class L3NetworkInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    type: str
    zoneUuid: str
    l2NetworkUuid: str
    state: str
    dnsDomain: str
    system: bool
    createDate: str
    lastOpDate: str
    dns: list[str]
    ipRanges: "list[IpRangeInventory]"
    networkServices: "list[NetworkServiceL3NetworkRefInventory]"


class ManagementNodeInventory(TypedDict, total=False):
    uuid: str
    hostName: str
    port: int
    state: str
    joinDate: str
    heartBeat: str


class NetworkServiceL3NetworkRefInventory(TypedDict, total=False):
    l3NetworkUuid: str
    networkServiceProviderUuid: str
    networkServiceType: str


class NetworkServiceProviderInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    type: str
    createDate: str
    lastOpDate: str
    networkServiceTypes: list[str]
    attachedL2NetworkUuids: list[str]


class PrimaryStorageInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    url: str
    type: str
    state: str
    status: str
    totalCapacity: int
    availableCapacity: int
    createDate: str
    lastOpDate: str
    zoneUuid: str
    attachedClusterUuids: list[str]


class SessionInventory(TypedDict, total=False):
    uuid: str
    accountUuid: str
    expiredDate: str
    createDate: str


class SftpBackupStorageInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    url: str
    type: str
    state: str
    status: str
    totalCapacity: int
    availableCapacity: int
    createDate: str
    lastOpDate: str
    hostname: str
    username: str
    attachedZoneUuids: list[str]


class SystemTagInventory(TypedDict, total=False):
    uuid: str
    resourceUuid: str
    resourceType: str
    tag: str
    type: str
    createDate: str
    lastOpDate: str
    inherent: bool


class UserTagInventory(TypedDict, total=False):
    uuid: str
    resourceUuid: str
    resourceType: str
    tag: str
    type: str
    createDate: str
    lastOpDate: str


class VirtualRouterOfferingInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    cpuNum: int
    cpuSpeed: int
    memorySize: int
    type: str
    allocatorStrategy: str
    state: str
    createDate: str
    lastOpDate: str
    zoneUuid: str
    managementNetworkUuid: str
    publicNetworkUuid: str
    imageUuid: str
    isDefault: bool


class VirtualRouterVmInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    zoneUuid: str
    clusterUuid: str
    imageUuid: str
    hostUuid: str
    lastHostUuid: str
    instanceOfferingUuid: str
    rootVolumeUuid: str
    platform: str
    defaultL3NetworkUuid: str
    type: str
    hypervisorType: str
    memorySize: int
    cpuNum: int
    cpuSpeed: int
    allocatorStrategy: str
    createDate: str
    lastOpDate: str
    state: str
    applianceVmType: str
    managementNetworkUuid: str
    defaultRouteL3NetworkUuid: str
    publicNetworkUuid: str
    status: str
    vmNics: "list[VmNicInventory]"
    allVolumes: "list[VolumeInventory]"


class VmInstanceInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    zoneUuid: str
    clusterUuid: str
    imageUuid: str
    hostUuid: str
    lastHostUuid: str
    instanceOfferingUuid: str
    rootVolumeUuid: str
    platform: str
    defaultL3NetworkUuid: str
    type: str
    hypervisorType: str
    memorySize: int
    cpuNum: int
    cpuSpeed: int
    allocatorStrategy: str
    createDate: str
    lastOpDate: str
    state: str
    vmNics: "list[VmNicInventory]"
    allVolumes: "list[VolumeInventory]"


class VmNicInventory(TypedDict, total=False):
    uuid: str
    vmInstanceUuid: str
    l3NetworkUuid: str
    ip: str
    netmask: str
    gateway: str
    mac: str
    deviceId: int
    metaData: str
    createDate: str
    lastOpDate: str


class VolumeInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    primaryStorageUuid: str
    vmInstanceUuid: str
    diskOfferingUuid: str
    rootImageUuid: str
    installPath: str
    type: str
    format: str
    size: int
    deviceId: int
    state: str
    status: str
    createDate: str
    lastOpDate: str


class VolumeSnapshotInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    type: str
    volumeUuid: str
    treeUuid: str
    parentUuid: str
    primaryStorageUuid: str
    primaryStorageInstallPath: str
    volumeType: str
    format: str
    size: int
    latest: bool
    state: str
    status: str
    createDate: str
    lastOpDate: str


class ZoneInventory(TypedDict, total=False):
    uuid: str
    name: str
    description: str
    state: str
    type: str
    createDate: str
    lastOpDate: str


@dataclass(frozen=True, kw_only=True)
class AddDnsToL3Network(Call[dict[str, Any]]):
    """Adding what is there already changes nothing."""

    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIAddDnsToL3NetworkMsg"
    l3NetworkUuid: str
    dns: str


@dataclass(frozen=True, kw_only=True)
class AddImage(Call[One[ImageInventory]]):
    """Has backup storages download an image. When none can, nothing of it is left."""

    wire_name: ClassVar[str] = "org.zstack.header.image.APIAddImageMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    url: str
    format: Literal["qcow2", "raw", "iso"] | None = None
    mediaType: Literal["RootVolumeTemplate", "DataVolumeTemplate", "ISO"] | None = None
    platform: Literal["Linux", "Windows", "Other", "Paravirtualization", "WindowsVirtio"] | None = None
    system: bool | None = None
    backupStorageUuids: list[str]


@dataclass(frozen=True, kw_only=True)
class AddIpRange(Call[One[IpRangeInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIAddIpRangeMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    l3NetworkUuid: str
    startIp: str
    endIp: str
    netmask: str
    gateway: str


@dataclass(frozen=True, kw_only=True)
class AddKVMHost(Call[dict[str, Any]]):
    """The password is used once, to authorize this install's key; it is not stored."""

    wire_name: ClassVar[str] = "org.zstack.kvm.APIAddKVMHostMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    managementIp: str
    clusterUuid: str | None = None
    username: str | None = None
    password: str
    sshPort: int | None = None


@dataclass(frozen=True, kw_only=True)
class AddLocalPrimaryStorage(Call[One[PrimaryStorageInventory]]):
    """`url` is the folder on every host of the clusters that it will be attached to."""

    wire_name: ClassVar[str] = "org.zstack.storage.primary.local.APIAddLocalPrimaryStorageMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    url: str
    zoneUuid: str


@dataclass(frozen=True, kw_only=True)
class AddSftpBackupStorage(Call[One[SftpBackupStorageInventory]]):
    """Adds the storage once its agent runs there and its folder is made. The password is used once and not stored."""

    wire_name: ClassVar[str] = "org.zstack.storage.backup.sftp.APIAddSftpBackupStorageMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    url: str
    hostname: str
    username: str
    password: str


@dataclass(frozen=True, kw_only=True)
class AttachBackupStorageToZone(Call[dict[str, Any]]):
    """Attaching what is attached already changes nothing."""

    wire_name: ClassVar[str] = "org.zstack.header.storage.backup.APIAttachBackupStorageToZoneMsg"
    backupStorageUuid: str
    zoneUuid: str


@dataclass(frozen=True, kw_only=True)
class AttachDataVolumeToVm(Call[One[VolumeInventory]]):
    """A running VM gets it at once, a stopped one when it starts."""

    wire_name: ClassVar[str] = "org.zstack.header.volume.APIAttachDataVolumeToVmMsg"
    vmInstanceUuid: str
    volumeUuid: str


@dataclass(frozen=True, kw_only=True)
class AttachL2NetworkToCluster(Call[dict[str, Any]]):
    """Attaching what is attached already changes nothing."""

    wire_name: ClassVar[str] = "org.zstack.header.network.l2.APIAttachL2NetworkToClusterMsg"
    l2NetworkUuid: str
    clusterUuid: str


@dataclass(frozen=True, kw_only=True)
class AttachL3NetworkToVm(Call[dict[str, Any]]):
    """Gives a stopped VM another nic. The first one is its default."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIAttachL3NetworkToVmMsg"
    vmInstanceUuid: str
    l3NetworkUuid: str


@dataclass(frozen=True, kw_only=True)
class AttachNetworkServiceProviderToL2Network(Call[dict[str, Any]]):
    """Attaching what is attached already changes nothing."""

    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIAttachNetworkServiceProviderToL2NetworkMsg"
    networkServiceProviderUuid: str
    l2NetworkUuid: str


@dataclass(frozen=True, kw_only=True)
class AttachNetworkServiceToL3Network(Call[dict[str, Any]]):
    """`networkServices` maps providers' uuids to services; the provider need not be attached to the L2 network."""

    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIAttachNetworkServiceToL3NetworkMsg"
    l3NetworkUuid: str
    networkServices: dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class AttachPrimaryStorageToCluster(Call[dict[str, Any]]):
    """Attaching what is attached already changes nothing."""

    wire_name: ClassVar[str] = "org.zstack.header.storage.primary.APIAttachPrimaryStorageToClusterMsg"
    primaryStorageUuid: str
    clusterUuid: str


@dataclass(frozen=True, kw_only=True)
class ChangeApiTimeout(Call[dict[str, Any]]):
    """Changes how long a call may take, on all nodes, for calls that are accepted from then on."""

    wire_name: ClassVar[str] = "org.zstack.core.timeout.APIChangeApiTimeoutMsg"
    apiName: str
    value: str | None = None


@dataclass(frozen=True, kw_only=True)
class ChangeClusterState(Call[One[ClusterInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.cluster.APIChangeClusterStateMsg"
    uuid: str
    stateEvent: str


@dataclass(frozen=True, kw_only=True)
class ChangeHostState(Call[One[KVMHostInventory]]):
    """`enable`, `disable`, or `maintain`. A host in maintenance gets no new VMs and is not reconnected."""

    wire_name: ClassVar[str] = "org.zstack.header.host.APIChangeHostStateMsg"
    uuid: str
    stateEvent: str


@dataclass(frozen=True, kw_only=True)
class ChangeImageState(Call[One[ImageInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.image.APIChangeImageStateMsg"
    uuid: str
    stateEvent: str


@dataclass(frozen=True, kw_only=True)
class ChangeInstanceOfferingState(Call[One[InstanceOfferingInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APIChangeInstanceOfferingStateMsg"
    uuid: str
    stateEvent: str


@dataclass(frozen=True, kw_only=True)
class ChangeL3NetworkState(Call[One[L3NetworkInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIChangeL3NetworkStateMsg"
    uuid: str
    stateEvent: str


@dataclass(frozen=True, kw_only=True)
class ChangePrimaryStorageState(Call[One[PrimaryStorageInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.storage.primary.APIChangePrimaryStorageStateMsg"
    uuid: str
    stateEvent: str


@dataclass(frozen=True, kw_only=True)
class ChangeVolumeState(Call[One[VolumeInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.volume.APIChangeVolumeStateMsg"
    uuid: str
    stateEvent: str


@dataclass(frozen=True, kw_only=True)
class ChangeZoneState(Call[One[ZoneInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.zone.APIChangeZoneStateMsg"
    uuid: str
    stateEvent: str


@dataclass(frozen=True, kw_only=True)
class CreateAccount(Call[dict[str, Any]]):
    """`password` is the sha512 of the password in hex."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APICreateAccountMsg"
    resourceUuid: str | None = None
    name: str
    password: str


@dataclass(frozen=True, kw_only=True)
class CreateCluster(Call[One[ClusterInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.cluster.APICreateClusterMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    zoneUuid: str
    hypervisorType: Literal["KVM"] | None = None


@dataclass(frozen=True, kw_only=True)
class CreateDataVolume(Call[One[VolumeInventory]]):
    """A volume of the offering's size. It has no file before a VM runs with it."""

    wire_name: ClassVar[str] = "org.zstack.header.volume.APICreateDataVolumeMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    diskOfferingUuid: str


@dataclass(frozen=True, kw_only=True)
class CreateDiskOffering(Call[One[DiskOfferingInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APICreateDiskOfferingMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    diskSize: int


@dataclass(frozen=True, kw_only=True)
class CreateInstanceOffering(Call[One[InstanceOfferingInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APICreateInstanceOfferingMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    cpuNum: int
    cpuSpeed: int
    memorySize: int
    allocatorStrategy: str | None = None


@dataclass(frozen=True, kw_only=True)
class CreateL2NoVlanNetwork(Call[One[L2NetworkInventory]]):
    """The network providers of this release are attached to it."""

    wire_name: ClassVar[str] = "org.zstack.header.network.l2.APICreateL2NoVlanNetworkMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    zoneUuid: str
    physicalInterface: str


@dataclass(frozen=True, kw_only=True)
class CreateL3Network(Call[One[L3NetworkInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APICreateL3NetworkMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    l2NetworkUuid: str
    system: bool | None = None
    dnsDomain: str | None = None


@dataclass(frozen=True, kw_only=True)
class CreateSystemTag(Call[One[SystemTagInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.tag.APICreateSystemTagMsg"
    resourceType: str
    resourceUuid: str
    tag: str


@dataclass(frozen=True, kw_only=True)
class CreateUserTag(Call[One[UserTagInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.tag.APICreateUserTagMsg"
    resourceType: str
    resourceUuid: str
    tag: str


@dataclass(frozen=True, kw_only=True)
class CreateVirtualRouterOffering(Call[One[VirtualRouterOfferingInventory]]):
    """The first one of a zone is its default; a new default takes the place of the old one."""

    wire_name: ClassVar[str] = "org.zstack.network.service.virtualrouter.APICreateVirtualRouterOfferingMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    cpuNum: int
    cpuSpeed: int
    memorySize: int
    allocatorStrategy: str | None = None
    zoneUuid: str
    managementNetworkUuid: str
    publicNetworkUuid: str | None = None
    imageUuid: str
    isDefault: bool | None = None


@dataclass(frozen=True, kw_only=True)
class CreateVmInstance(Call[One[VmInstanceInventory]]):
    """Makes the VM and starts it. When it cannot be started, nothing of it is left."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APICreateVmInstanceMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    instanceOfferingUuid: str
    imageUuid: str
    l3NetworkUuids: list[str]
    defaultL3NetworkUuid: str | None = None
    dataDiskOfferingUuids: list[str] | None = None
    zoneUuid: str | None = None
    clusterUuid: str | None = None
    hostUuid: str | None = None


@dataclass(frozen=True, kw_only=True)
class CreateVolumeSnapshot(Call[One[VolumeSnapshotInventory]]):
    """The volume as it is now; of a running VM's volume, as after a loss of power."""

    wire_name: ClassVar[str] = "org.zstack.header.volume.APICreateVolumeSnapshotMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None
    volumeUuid: str


@dataclass(frozen=True, kw_only=True)
class CreateZone(Call[One[ZoneInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.zone.APICreateZoneMsg"
    resourceUuid: str | None = None
    name: str
    description: str | None = None
    userTags: list[str] | None = None
    systemTags: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteAccount(Call[dict[str, Any]]):
    """Deletes an account and ends its sessions."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APIDeleteAccountMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class DeleteBackupStorage(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.storage.backup.APIDeleteBackupStorageMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteCluster(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.cluster.APIDeleteClusterMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteDataVolume(Call[dict[str, Any]]):
    """Takes it from its VM, and deletes it with its file and its snapshots."""

    wire_name: ClassVar[str] = "org.zstack.header.volume.APIDeleteDataVolumeMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteDiskOffering(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APIDeleteDiskOfferingMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteGCJob(Call[dict[str, Any]]):
    """Gives a removal up: what is left stays where it is."""

    wire_name: ClassVar[str] = "org.zstack.core.gc.APIDeleteGCJobMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class DeleteHost(Call[dict[str, Any]]):
    """Takes the host out of the inventory; its VMs are stopped. The row stays with its date of deletion."""

    wire_name: ClassVar[str] = "org.zstack.header.host.APIDeleteHostMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteImage(Call[dict[str, Any]]):
    """Its files on backup storages and virtual router offerings with it go too. A file that a release brought stays."""

    wire_name: ClassVar[str] = "org.zstack.header.image.APIDeleteImageMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteInstanceOffering(Call[dict[str, Any]]):
    """Deletes virtual router offerings too."""

    wire_name: ClassVar[str] = "org.zstack.header.configuration.APIDeleteInstanceOfferingMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteIpRange(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIDeleteIpRangeMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteL2Network(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.l2.APIDeleteL2NetworkMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteL3Network(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIDeleteL3NetworkMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeletePrimaryStorage(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.storage.primary.APIDeletePrimaryStorageMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteTag(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.tag.APIDeleteTagMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class DeleteVolumeSnapshot(Call[dict[str, Any]]):
    """Later snapshots, which build on it, go with it; the volume keeps its data."""

    wire_name: ClassVar[str] = "org.zstack.header.storage.snapshot.APIDeleteVolumeSnapshotMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DeleteZone(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.zone.APIDeleteZoneMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DestroyVmInstance(Call[dict[str, Any]]):
    """A VM that is not there is destroyed already. What is left of one follows from the setting vm.deletionPolicy."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIDestroyVmInstanceMsg"
    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] | None = None


@dataclass(frozen=True, kw_only=True)
class DetachDataVolumeFromVm(Call[One[VolumeInventory]]):
    """The volume keeps its data and its host."""

    wire_name: ClassVar[str] = "org.zstack.header.volume.APIDetachDataVolumeFromVmMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class DetachL3NetworkFromVm(Call[dict[str, Any]]):
    """Takes a nic from a stopped VM and frees its address."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIDetachL3NetworkFromVmMsg"
    vmNicUuid: str


@dataclass(frozen=True, kw_only=True)
class DetachNetworkServiceFromL3Network(Call[dict[str, Any]]):
    """What is not attached is passed over. Virtual routers go on serving until they are destroyed."""

    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIDetachNetworkServiceFromL3NetworkMsg"
    l3NetworkUuid: str
    networkServices: dict[str, list[str]]


@dataclass(frozen=True, kw_only=True)
class DetachNetworkServiceProviderFromL2Network(Call[dict[str, Any]]):
    """Refused while an L3 network on the L2 network uses a service of the provider."""

    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIDetachNetworkServiceProviderFromL2NetworkMsg"
    networkServiceProviderUuid: str
    l2NetworkUuid: str


@dataclass(frozen=True, kw_only=True)
class ExpungeVmInstance(Call[dict[str, Any]]):
    """Deletes what is left of a destroyed VM."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIExpungeVmInstanceMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class GetApiTimeouts(Call[dict[str, Any]]):
    """How long each call may take, in milliseconds, the inner work that may take all of that, and who says so."""

    wire_name: ClassVar[str] = "org.zstack.core.timeout.APIGetApiTimeoutsMsg"
    apiName: str | None = None


@dataclass(frozen=True, kw_only=True)
class GetVersion(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.managementnode.APIGetVersionMsg"


@dataclass(frozen=True, kw_only=True)
class GetVmMigrationCandidateHosts(Call[dict[str, Any]]):
    """The hosts that the VM could be moved to."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIGetVmMigrationCandidateHostsMsg"
    vmInstanceUuid: str


@dataclass(frozen=True, kw_only=True)
class IsReadyToGo(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.managementnode.APIIsReadyToGoMsg"


@dataclass(frozen=True, kw_only=True)
class LogInByAccount(Call[dict[str, Any]]):
    """`password` is the sha512 of the password in hex."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APILogInByAccountMsg"
    accountName: str
    password: str


@dataclass(frozen=True, kw_only=True)
class LogOut(Call[dict[str, Any]]):
    """Ends a session. Ending one that does not exist is no mistake."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APILogOutMsg"
    sessionUuid: str | None = None


@dataclass(frozen=True, kw_only=True)
class MigrateVm(Call[dict[str, Any]]):
    """Moves a running VM to the given host, or to the emptiest that can have it."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIMigrateVmMsg"
    vmInstanceUuid: str
    hostUuid: str | None = None


@dataclass(frozen=True, kw_only=True)
class QueryAccount(Call[Many[AccountInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.identity.APIQueryAccountMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryAudit(Call[Many[AuditInventory]]):
    """Who changed what, when, from what, to what."""

    wire_name: ClassVar[str] = "org.zstack.header.audit.APIQueryAuditMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryBackupStorage(Call[Many[SftpBackupStorageInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.storage.backup.APIQueryBackupStorageMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryCluster(Call[Many[ClusterInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.cluster.APIQueryClusterMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryConsoleProxyAgent(Call[Many[ConsoleProxyAgentInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.console.APIQueryConsoleProxyAgentMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryDiskOffering(Call[Many[DiskOfferingInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APIQueryDiskOfferingMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryGCJob(Call[Many[GCJobInventory]]):
    """Removals that wait for their host or storage, and those that are done."""

    wire_name: ClassVar[str] = "org.zstack.core.gc.APIQueryGCJobMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryGlobalConfig(Call[Many[GlobalConfigInventory]]):
    wire_name: ClassVar[str] = "org.zstack.core.config.APIQueryGlobalConfigMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryHost(Call[Many[KVMHostInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.host.APIQueryHostMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryImage(Call[Many[ImageInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.image.APIQueryImageMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryInstanceOffering(Call[Many[InstanceOfferingInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.configuration.APIQueryInstanceOfferingMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryIpRange(Call[Many[IpRangeInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIQueryIpRangeMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryL2Network(Call[Many[L2NetworkInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.l2.APIQueryL2NetworkMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryL3Network(Call[Many[L3NetworkInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIQueryL3NetworkMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryManagementNode(Call[Many[ManagementNodeInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.managementnode.APIQueryManagementNodeMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryNetworkServiceL3NetworkRef(Call[Many[NetworkServiceL3NetworkRefInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIQueryNetworkServiceL3NetworkRefMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryNetworkServiceProvider(Call[Many[NetworkServiceProviderInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.service.APIQueryNetworkServiceProviderMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryPrimaryStorage(Call[Many[PrimaryStorageInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.storage.primary.APIQueryPrimaryStorageMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QuerySystemTag(Call[Many[SystemTagInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.tag.APIQuerySystemTagMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryUserTag(Call[Many[UserTagInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.tag.APIQueryUserTagMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryVirtualRouterOffering(Call[Many[VirtualRouterOfferingInventory]]):
    wire_name: ClassVar[str] = "org.zstack.network.service.virtualrouter.APIQueryVirtualRouterOfferingMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryVirtualRouterVm(Call[Many[VirtualRouterVmInventory]]):
    wire_name: ClassVar[str] = "org.zstack.network.service.virtualrouter.APIQueryVirtualRouterVmMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryVmInstance(Call[Many[VmInstanceInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.vm.APIQueryVmInstanceMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryVmNic(Call[Many[VmNicInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.vm.APIQueryVmNicMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryVolume(Call[Many[VolumeInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.volume.APIQueryVolumeMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryVolumeSnapshot(Call[Many[VolumeSnapshotInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.storage.snapshot.APIQueryVolumeSnapshotMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class QueryZone(Call[Many[ZoneInventory]]):
    wire_name: ClassVar[str] = "org.zstack.header.zone.APIQueryZoneMsg"
    conditions: list[Condition]
    limit: int | None = None
    start: int | None = None
    count: bool | None = None
    replyWithCount: bool | None = None
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] | None = None
    fields: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class RebootVmInstance(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.vm.APIRebootVmInstanceMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class ReconnectConsoleProxyAgent(Call[dict[str, Any]]):
    """Without `agentUuids`, all of them. The inventory says for each `true` or what went wrong."""

    wire_name: ClassVar[str] = "org.zstack.header.console.APIReconnectConsoleProxyAgentMsg"
    agentUuids: list[str] | None = None


@dataclass(frozen=True, kw_only=True)
class ReconnectHost(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.host.APIReconnectHostMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class ReconnectSftpBackupStorage(Call[dict[str, Any]]):
    """Brings the storage's agent up again, if it is not, and notes how much room there is."""

    wire_name: ClassVar[str] = "org.zstack.storage.backup.sftp.APIReconnectSftpBackupStorageMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class RecoverVmInstance(Call[dict[str, Any]]):
    """Takes a destroyed VM back; it is Stopped and has no nics."""

    wire_name: ClassVar[str] = "org.zstack.header.vm.APIRecoverVmInstanceMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class RemoveDnsFromL3Network(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.network.l3.APIRemoveDnsFromL3NetworkMsg"
    l3NetworkUuid: str
    dns: str


@dataclass(frozen=True, kw_only=True)
class RenewSession(Call[dict[str, Any]]):
    """Lets the caller's session last as long as a new one would."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APIRenewSessionMsg"


@dataclass(frozen=True, kw_only=True)
class StartVmInstance(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.vm.APIStartVmInstanceMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class StopVmInstance(Call[dict[str, Any]]):
    wire_name: ClassVar[str] = "org.zstack.header.vm.APIStopVmInstanceMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class TriggerGCJob(Call[dict[str, Any]]):
    """Tries a job now, whatever it waits for."""

    wire_name: ClassVar[str] = "org.zstack.core.gc.APITriggerGCJobMsg"
    uuid: str


@dataclass(frozen=True, kw_only=True)
class UpdateAccount(Call[dict[str, Any]]):
    """Gives an account another name or password. A new password ends the account's other sessions."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APIUpdateAccountMsg"
    uuid: str
    name: str | None = None
    password: str | None = None


@dataclass(frozen=True, kw_only=True)
class UpdateGlobalConfig(Call[dict[str, Any]]):
    """The new value must be of the default's kind: a whole number, true or false, or a known word."""

    wire_name: ClassVar[str] = "org.zstack.core.config.APIUpdateGlobalConfigMsg"
    category: str
    name: str
    value: str


@dataclass(frozen=True, kw_only=True)
class ValidateSession(Call[dict[str, Any]]):
    """Whether a session is still good."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APIValidateSessionMsg"
    sessionUuid: str
