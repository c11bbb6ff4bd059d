"""Release 1.1.0: the console proxy agent, when each host was last seen, and that nodes of 1.0.0 can go on meanwhile.

Revision: 1.1.0
"""

import sqlalchemy as sa
from alembic import op

revision = "1.1.0"
down_revision = "1.1.0_locks"


def upgrade() -> None:
    """Create ConsoleProxyAgentVO; give every existing host the last date at which it is known to have lived."""
    op.create_table(
        "ConsoleProxyAgentVO",
        sa.Column(
            "uuid",
            sa.String(32),
            sa.ForeignKey("ManagementNodeVO.uuid", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("description", sa.String(2048)),
        sa.Column("managementIp", sa.String(255), nullable=False),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("status", sa.String(32), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("createDate", sa.DateTime, nullable=False),
        sa.Column("lastOpDate", sa.DateTime, nullable=False),
    )
    op.add_column("HostEO", sa.Column("lastSeenDate", sa.DateTime))
    # A host that never connected was never seen; createDate is the honest lower bound for it.
    op.execute(
        sa.text(
            """UPDATE "HostEO" SET "lastSeenDate" =
               CASE WHEN status = 'Connected' THEN "lastOpDate" ELSE "createDate" END"""
        )
    )
    # The next release replaces the row by 1.1.0, unless it takes something away that 1.1.0 uses.
    served = op.create_table("ServedSchemaVO", sa.Column("schema", sa.String(32), primary_key=True))
    op.execute(served.insert().values(schema="1.0.0"))


def downgrade() -> None:
    """Back to what 1.0.0 knows. Console agents register themselves anew after the next upgrade."""
    op.drop_table("ServedSchemaVO")
    op.drop_column("HostEO", "lastSeenDate")
    op.drop_table("ConsoleProxyAgentVO")
