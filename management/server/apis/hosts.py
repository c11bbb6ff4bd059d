"""KVM hosts."""

import uuid
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, IPvAnyAddress, SecretStr
from sqlalchemy import delete, select

from management.server import cascade, hosts
from management.server.cascade import Kind, Parent
from management.server.clock import now
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller, CreateMessage, Resource
from management.server.models.hosts import ClusterVO, HostVO
from management.server.query import Inventory, Link, QueryMessage
from management.server.shares import BUSY_STATES

if TYPE_CHECKING:
    from management.server.node import Node

HOST = Inventory(
    "KVMHostInventory",
    HostVO,
    (
        "uuid",
        "zoneUuid",
        "clusterUuid",
        "name",
        "description",
        "managementIp",
        "hypervisorType",
        "state",
        "status",
        "totalCpuCapacity",
        "availableCpuCapacity",
        "totalMemoryCapacity",
        "availableMemoryCapacity",
        "username",
        "createDate",
        "lastOpDate",
    ),
    alive="deleted",
    links=(
        Link("zone", "ZoneInventory", mine="zoneUuid"),
        Link("cluster", "ClusterInventory", mine="clusterUuid"),
        Link("vmInstance", "VmInstanceInventory", theirs="hostUuid"),
    ),
)
KIND = Kind(HostVO, (Parent(ClusterVO, "clusterUuid"),), cleanup=hosts.announce_deleted)


class QueryHost(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.host.APIQueryHostMsg"
    inventory: ClassVar[Inventory] = HOST


class AddKVMHost(CreateMessage):
    """The password is used once, to authorize this install's key; it is not stored."""

    wire_name: ClassVar[str] = "org.zstack.kvm.APIAddKVMHostMsg"

    name: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=2048)
    managementIp: IPvAnyAddress
    clusterUuid: Annotated[str | None, Resource(ClusterVO)] = None
    username: str = Field(default="root", pattern=r"^[a-z_][a-z0-9_-]{0,31}$")
    password: SecretStr = Field(min_length=1)
    sshPort: int = Field(default=22, ge=1, le=65535)

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        host_uuid = self._insert(node)
        try:
            hosts.connect(node, host_uuid, self.password.get_secret_value())
        except ApiError as error:
            with node.database.write() as session:
                session.execute(delete(HostVO).where(HostVO.uuid == host_uuid))
            text = f"host[name:{self.name}, ip:{self.managementIp}] was not added"
            raise ApiError("HOST.1000", text, error.cause or error) from error
        with node.database.read() as session:
            return {"inventory": HOST.show_one(session, host_uuid)}

    def _insert(self, node: "Node") -> str:
        moment = now()
        address = str(self.managementIp)
        with node.database.write() as session:
            taken = select(HostVO.name).where(HostVO.managementIp == address, HostVO.deleted.is_(None))
            other = session.scalars(taken).first()
            if other is not None:
                raise ApiError("SYS.1006", f"host[name:{other}] already has the management IP {address}")
            host_uuid = self.resourceUuid or uuid.uuid4().hex
            if session.get(HostVO, host_uuid) is not None:
                raise ApiError("SYS.1007", f"resourceUuid[{host_uuid}] is or was another host's")
            cluster = self._cluster(
                session.scalars(
                    select(ClusterVO).where(ClusterVO.deleted.is_(None)).order_by(ClusterVO.createDate)
                ).all()
            )
            row = HostVO(
                uuid=host_uuid,
                zoneUuid=cluster.zoneUuid,
                clusterUuid=cluster.uuid,
                name=self.name,
                description=self.description,
                managementIp=address,
                hypervisorType="KVM",
                state="Enabled",
                status="Disconnected",
                username=self.username,
                sshPort=self.sshPort,
                createDate=moment,
                lastOpDate=moment,
            )
            session.add(row)
        return host_uuid

    def _cluster(self, clusters: Any) -> ClusterVO:
        wanted: ClusterVO = next(c for c in clusters if self.clusterUuid in (None, c.uuid))
        return wanted


class ReconnectHost(ApiMessage):
    wire_name: ClassVar[str] = "org.zstack.header.host.APIReconnectHostMsg"
    repeatable: ClassVar[bool] = True

    uuid: Annotated[str, Resource(HostVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.read() as session:
            host = session.get_one(HostVO, self.uuid)
        if host.state in BUSY_STATES:
            text = f"host[uuid:{host.uuid}, name:{host.name}] is in state[{host.state}]; it cannot be reconnected"
            raise ApiError("SYS.1006", text)
        hosts.connect(node, self.uuid)
        return {}


class DeleteHost(ApiMessage):
    """Takes the host out of the inventory; its VMs are stopped. The row stays with its date of deletion."""

    wire_name: ClassVar[str] = "org.zstack.header.host.APIDeleteHostMsg"

    uuid: Annotated[str, Resource(HostVO)]
    deleteMode: Literal["Permissive", "Enforcing"] = "Permissive"

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.locks("reconnect-host", self.uuid):
            cascade.delete(node, HostVO, self.uuid, force=self.deleteMode == "Enforcing")
        return {}


def on_ready(node: "Node") -> None:
    """Connect those of the hosts that are already known which are this node's to look after."""
    hosts.look_after(node)
