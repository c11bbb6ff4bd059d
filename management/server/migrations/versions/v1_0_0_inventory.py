"""Release 1.0.0: accounts, sessions, hosts, images, management nodes.

Revision: 1.0.0
"""

import uuid
from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "1.0.0"
down_revision = None

_TABLES = (
    "ManagementNodeVO",
    "ImageEO",
    "HostEO",
    "ClusterEO",
    "ZoneEO",
    "SessionVO",
    "AccountVO",
)
ADMIN_UUID = "36c27e8ff05c4780bf6d2fa65700f22e"


def _dates() -> list[sa.Column[object]]:
    return [
        sa.Column("createDate", sa.DateTime, nullable=False),
        sa.Column("lastOpDate", sa.DateTime, nullable=False),
    ]


def upgrade() -> None:
    """Create the tables, the admin account (without a password) and the default zone and cluster."""
    account = op.create_table(
        "AccountVO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("passwordHash", sa.String(255)),
        *_dates(),
    )
    op.create_table(
        "SessionVO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("accountUuid", sa.String(32), sa.ForeignKey("AccountVO.uuid", ondelete="CASCADE"), nullable=False),
        sa.Column("expiredDate", sa.DateTime, nullable=False),
        sa.Column("createDate", sa.DateTime, nullable=False),
    )
    zone = op.create_table(
        "ZoneEO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(2048)),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("deleted", sa.DateTime),
        *_dates(),
    )
    cluster = op.create_table(
        "ClusterEO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("zoneUuid", sa.String(32), sa.ForeignKey("ZoneEO.uuid"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(2048)),
        sa.Column("hypervisorType", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("type", sa.String(32), nullable=False),
        sa.Column("deleted", sa.DateTime),
        *_dates(),
    )
    op.create_table(
        "HostEO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("zoneUuid", sa.String(32), sa.ForeignKey("ZoneEO.uuid"), nullable=False),
        sa.Column("clusterUuid", sa.String(32), sa.ForeignKey("ClusterEO.uuid"), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("description", sa.String(2048)),
        sa.Column("managementIp", sa.String(255), nullable=False),
        sa.Column("hypervisorType", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("username", sa.String(255), nullable=False),
        sa.Column("sshPort", sa.Integer, nullable=False),
        sa.Column("totalCpuCapacity", sa.BigInteger, nullable=False),
        sa.Column("availableCpuCapacity", sa.BigInteger, nullable=False),
        sa.Column("totalMemoryCapacity", sa.BigInteger, nullable=False),
        sa.Column("availableMemoryCapacity", sa.BigInteger, nullable=False),
        sa.Column("deleted", sa.DateTime),
        *_dates(),
    )
    op.create_table(
        "ImageEO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(255), nullable=False, unique=True),
        sa.Column("description", sa.String(2048)),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("format", sa.String(32), nullable=False),
        sa.Column("mediaType", sa.String(64), nullable=False),
        sa.Column("platform", sa.String(64), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("size", sa.BigInteger),
        sa.Column("virtualSize", sa.BigInteger),
        sa.Column("digest", sa.String(128)),
        sa.Column("system", sa.Boolean, nullable=False),
        sa.Column("deleted", sa.DateTime),
        *_dates(),
    )
    op.create_table(
        "ManagementNodeVO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("hostName", sa.String(255), nullable=False),
        sa.Column("port", sa.Integer, nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("joinDate", sa.DateTime, nullable=False),
        sa.Column("heartBeat", sa.DateTime, nullable=False),
    )
    moment = datetime.now(UTC).replace(tzinfo=None)
    dates = {"createDate": moment, "lastOpDate": moment}
    usual = {"state": "Enabled", "type": "zstack", **dates}
    zone_uuid, cluster_uuid = uuid.uuid4().hex, uuid.uuid4().hex
    op.execute(account.insert().values(uuid=ADMIN_UUID, name="admin", **dates))
    op.execute(zone.insert().values(uuid=zone_uuid, name="zone1", **usual))
    default = {"uuid": cluster_uuid, "zoneUuid": zone_uuid, "name": "cluster1", "hypervisorType": "KVM"}
    op.execute(cluster.insert().values(**default, **usual))


def downgrade() -> None:
    """Nothing was there before."""
    for table in _TABLES:
        op.drop_table(table)
