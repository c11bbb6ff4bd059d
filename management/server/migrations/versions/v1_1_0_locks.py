"""Release 1.1.0: locks on resources that all nodes of a site respect.

Revision: 1.1.0_locks
"""

import sqlalchemy as sa
from alembic import op

revision = "1.1.0_locks"
down_revision = "1.1.0_gc"


def upgrade() -> None:
    """Create the table. A node's rows go with the node, whoever takes that out, nodes of 1.0.0 included."""
    op.create_table(
        "ResourceLockVO",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column(
            "managementNodeUuid",
            sa.String(32),
            sa.ForeignKey("ManagementNodeVO.uuid", ondelete="CASCADE"),
            primary_key=True,
            index=True,
        ),
        sa.Column("ticket", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop the table: nodes of 1.0.0 lock within themselves."""
    op.drop_table("ResourceLockVO")
