"""Release 1.1.0: networks, storage, offerings, VMs, volumes, tags, global configuration, and the audit log.

Revision: 1.1.0_inventory
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "1.1.0_inventory"
down_revision = "1.0.0"

Column = sa.Column[Any]


def _text(name: str, *, null: bool = False, key: bool = False, length: int = 255) -> Column:
    return sa.Column(name, sa.String(length), nullable=null, primary_key=key)


def _number(name: str, *, null: bool = False) -> Column:
    return sa.Column(name, sa.BigInteger, nullable=null)


def _flag(name: str) -> Column:
    return sa.Column(name, sa.Boolean, nullable=False)


def _ref(name: str, table: str, *, null: bool = False, key: bool = False) -> Column:
    return sa.Column(name, sa.String(32), sa.ForeignKey(f"{table}.uuid"), nullable=null, primary_key=key, index=not key)


def _dates() -> list[Column]:
    return [sa.Column(name, sa.DateTime, nullable=False) for name in ("createDate", "lastOpDate")]


def _uuid() -> Column:
    return _text("uuid", key=True, length=32)


def _erasable(table: str, *columns: Column) -> None:
    """A table of named resources that are deleted softly."""
    head = [_uuid(), _text("name"), _text("description", null=True, length=2048)]
    op.create_table(table, *head, *columns, sa.Column("deleted", sa.DateTime), *_dates())


def _pair(table: str, one: tuple[str, str], other: tuple[str, str]) -> None:
    """A table of pairs, each pair once."""
    op.create_table(table, _ref(*one, key=True), _ref(*other, key=True))


def upgrade() -> None:
    """Create the tables; they are empty until somebody makes something."""
    _networks()
    _storage()
    _offerings()
    _vms()
    _volumes()
    _records()
    for table, columns in SEARCHED.items():
        for column in columns:
            op.create_index(f"ix_{table}_lower_{column}", table, [sa.text(f'lower("{column}")')])
        op.create_index(f"ix_{table}_order", table, ["createDate", "uuid"])
    for table, column in NEW_REFERENCES:
        op.create_index(f"ix_{table}_{column}", table, [column])


def _networks() -> None:
    _erasable("L2NetworkEO", _ref("zoneUuid", "ZoneEO"), _text("physicalInterface"), _text("type"))
    _pair("L2NetworkClusterRefVO", ("l2NetworkUuid", "L2NetworkEO"), ("clusterUuid", "ClusterEO"))
    _erasable(
        "L3NetworkEO",
        _text("type"),
        _ref("zoneUuid", "ZoneEO"),
        _ref("l2NetworkUuid", "L2NetworkEO"),
        _text("state"),
        _text("dnsDomain", null=True),
        _flag("system"),
    )
    op.create_table("L3NetworkDnsVO", _ref("l3NetworkUuid", "L3NetworkEO", key=True), _text("dns", key=True))
    _erasable(
        "IpRangeEO",
        _ref("l3NetworkUuid", "L3NetworkEO"),
        *(_text(name) for name in ("startIp", "endIp", "netmask", "gateway")),
        _text("networkCidr", null=True),
    )
    op.create_table(
        "UsedIpVO",
        _uuid(),
        _ref("ipRangeUuid", "IpRangeEO"),
        _ref("l3NetworkUuid", "L3NetworkEO"),
        _text("ip"),
        *_dates(),
        sa.UniqueConstraint("l3NetworkUuid", "ip"),
    )
    provider = "NetworkServiceProviderVO"
    named = [_uuid(), _text("name"), _text("description", null=True, length=2048), *_dates()]
    op.create_table(provider, *named, sa.Column("type", sa.String(255), nullable=False, unique=True))
    op.create_table(
        "NetworkServiceTypeVO", _ref("networkServiceProviderUuid", provider, key=True), _text("type", key=True)
    )
    _pair(
        "NetworkServiceProviderL2NetworkRefVO",
        ("networkServiceProviderUuid", provider),
        ("l2NetworkUuid", "L2NetworkEO"),
    )
    op.create_table(
        "NetworkServiceL3NetworkRefVO",
        sa.Column("id", sa.Integer, primary_key=True),
        _ref("l3NetworkUuid", "L3NetworkEO"),
        _ref("networkServiceProviderUuid", provider),
        _text("networkServiceType"),
        sa.UniqueConstraint("l3NetworkUuid", "networkServiceType"),
    )


def _storage() -> None:
    def state() -> list[Column]:
        return [_text("type"), _text("state"), _text("status"), _number("totalCapacity"), _number("availableCapacity")]

    _erasable("PrimaryStorageEO", _ref("zoneUuid", "ZoneEO"), _text("url", length=2048), *state())
    _pair("PrimaryStorageClusterRefVO", ("primaryStorageUuid", "PrimaryStorageEO"), ("clusterUuid", "ClusterEO"))
    _erasable("BackupStorageEO", _text("url", length=2048), _text("hostname"), _text("username"), *state())
    _pair("BackupStorageZoneRefVO", ("backupStorageUuid", "BackupStorageEO"), ("zoneUuid", "ZoneEO"))
    op.create_table(
        "ImageBackupStorageRefVO",
        _ref("imageUuid", "ImageEO", key=True),
        _ref("backupStorageUuid", "BackupStorageEO", key=True),
        _text("installPath", length=2048),
        _text("status"),
    )


def _offerings() -> None:
    sizes = [_number("cpuNum"), _number("cpuSpeed"), _number("memorySize")]
    _erasable("InstanceOfferingEO", *sizes, _text("type"), _text("allocatorStrategy"), _text("state"))
    op.create_table(
        "VirtualRouterOfferingVO",
        _ref("uuid", "InstanceOfferingEO", key=True),
        _ref("zoneUuid", "ZoneEO"),
        _ref("managementNetworkUuid", "L3NetworkEO"),
        _ref("publicNetworkUuid", "L3NetworkEO"),
        _ref("imageUuid", "ImageEO"),
        _flag("isDefault"),
    )
    _erasable("DiskOfferingEO", _number("diskSize"), _text("type"), _text("state"))


def _vms() -> None:
    _erasable(
        "VmInstanceEO",
        _ref("zoneUuid", "ZoneEO", null=True),
        _ref("clusterUuid", "ClusterEO", null=True),
        _ref("imageUuid", "ImageEO", null=True),
        _ref("hostUuid", "HostEO", null=True),
        _ref("lastHostUuid", "HostEO", null=True),
        _ref("instanceOfferingUuid", "InstanceOfferingEO", null=True),
        _text("rootVolumeUuid", null=True, length=32),
        _ref("defaultL3NetworkUuid", "L3NetworkEO", null=True),
        *(_text(name) for name in ("platform", "type", "hypervisorType", "state")),
        *(_number(name) for name in ("memorySize", "cpuNum", "cpuSpeed")),
        _text("allocatorStrategy", null=True),
    )
    networks = ("managementNetworkUuid", "defaultRouteL3NetworkUuid", "publicNetworkUuid")
    op.create_table(
        "VirtualRouterVmVO",
        _ref("uuid", "VmInstanceEO", key=True),
        _text("applianceVmType"),
        _text("status"),
        *(_ref(name, "L3NetworkEO") for name in networks),
    )
    op.create_table(
        "VmNicVO",
        _uuid(),
        _ref("vmInstanceUuid", "VmInstanceEO"),
        _ref("l3NetworkUuid", "L3NetworkEO"),
        _ref("usedIpUuid", "UsedIpVO", null=True),
        *(_text(name) for name in ("ip", "netmask", "gateway", "mac")),
        sa.Column("deviceId", sa.Integer, nullable=False),
        _text("metaData", null=True),
        *_dates(),
    )


def _volumes() -> None:
    storage = "PrimaryStorageEO"
    _erasable(
        "VolumeEO",
        _ref("primaryStorageUuid", storage, null=True),
        _ref("vmInstanceUuid", "VmInstanceEO", null=True),
        _ref("diskOfferingUuid", "DiskOfferingEO", null=True),
        _ref("rootImageUuid", "ImageEO", null=True),
        _text("installPath", null=True, length=2048),
        *(_text(name) for name in ("type", "format", "state", "status")),
        _number("size"),
        sa.Column("deviceId", sa.Integer),
    )
    op.create_table(
        "LocalStorageResourceRefVO",
        _ref("resourceUuid", "VolumeEO", key=True),
        _text("resourceType"),
        _ref("primaryStorageUuid", storage),
        _ref("hostUuid", "HostEO"),
        _number("size"),
        *_dates(),
    )
    tree = [_uuid(), _ref("volumeUuid", "VolumeEO"), _flag("current"), sa.Column("deleted", sa.DateTime), *_dates()]
    op.create_table("VolumeSnapshotTreeEO", *tree)
    _erasable(
        "VolumeSnapshotEO",
        _ref("volumeUuid", "VolumeEO"),
        _ref("treeUuid", "VolumeSnapshotTreeEO"),
        _ref("parentUuid", "VolumeSnapshotEO", null=True),
        _ref("primaryStorageUuid", storage),
        _text("primaryStorageInstallPath", length=2048),
        *(_text(name) for name in ("type", "volumeType", "format", "state", "status")),
        _number("size"),
        _flag("latest"),
    )


def _records() -> None:
    def tag() -> list[Column]:
        return [
            _uuid(),
            sa.Column("resourceUuid", sa.String(32), nullable=False, index=True),
            _text("resourceType"),
            _text("tag", length=2048),
            _text("type"),
            *_dates(),
        ]

    op.create_table("UserTagVO", *tag())
    op.create_table("SystemTagVO", *tag(), _flag("inherent"))
    op.create_table(
        "GlobalConfigVO",
        _text("category", key=True),
        _text("name", key=True),
        _text("description", length=2048),
        _text("defaultValue"),
        _text("value"),
    )
    op.create_table(
        "ApiTimeoutVO",
        _text("apiName", key=True),
        _number("milliseconds"),
        sa.Column("innerNames", sa.Text, nullable=False),
        *_dates(),
    )
    op.create_table(
        "AuditVO",
        sa.Column("id", sa.Integer, primary_key=True),
        _text("resourceType"),
        sa.Column("resourceUuid", sa.String(600), nullable=False, index=True),
        _text("action"),
        sa.Column("changes", sa.Text, nullable=False),
        _text("accountUuid", null=True, length=32),
        _text("apiName", null=True),
        sa.Column("createDate", sa.DateTime, nullable=False, index=True),
    )


SEARCHED = {
    "HostEO": ("name", "managementIp"),
    "ImageEO": ("name",),
    "VmInstanceEO": ("name",),
    "VmNicVO": ("ip", "mac"),
    "VolumeEO": ("name",),
}
"""What people look for in tables that grow large. Queries compare text in small letters, and list by age."""
NEW_REFERENCES = (("ClusterEO", "zoneUuid"), ("HostEO", "zoneUuid"), ("HostEO", "clusterUuid"))
"""Of release 1.0.0, which had no indexes for them."""

TABLES = (  # noqa: SIM905 -- in the order of dropping
    "AuditVO ApiTimeoutVO GlobalConfigVO SystemTagVO UserTagVO VolumeSnapshotEO VolumeSnapshotTreeEO"
    " LocalStorageResourceRefVO VolumeEO VmNicVO VirtualRouterVmVO VmInstanceEO DiskOfferingEO"
    " VirtualRouterOfferingVO InstanceOfferingEO"
    " ImageBackupStorageRefVO BackupStorageZoneRefVO BackupStorageEO PrimaryStorageClusterRefVO PrimaryStorageEO"
    " NetworkServiceL3NetworkRefVO NetworkServiceProviderL2NetworkRefVO NetworkServiceTypeVO"
    " NetworkServiceProviderVO UsedIpVO IpRangeEO L3NetworkDnsVO L3NetworkEO L2NetworkClusterRefVO L2NetworkEO"
).split()


def downgrade() -> None:
    """Drop the tables, each before those that it refers to; their indexes go with them."""
    for table, column in NEW_REFERENCES:
        op.drop_index(f"ix_{table}_{column}", table)
    for table in ("HostEO", "ImageEO"):
        for column in SEARCHED[table]:
            op.drop_index(f"ix_{table}_lower_{column}", table)
        op.drop_index(f"ix_{table}_order", table)
    for table in TABLES:
        op.drop_table(table)
