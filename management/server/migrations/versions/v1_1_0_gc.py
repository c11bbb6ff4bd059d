"""Release 1.1.0: jobs of the garbage collection.

Revision: 1.1.0_gc
"""

import sqlalchemy as sa
from alembic import op

revision = "1.1.0_gc"
down_revision = "1.1.0_inventory"

UNFINISHED = "status <> 'Done'"


def upgrade() -> None:
    """Create the table, with each name at most once among the jobs that are not done."""
    op.create_table(
        "GarbageCollectorVO",
        sa.Column("uuid", sa.String(32), primary_key=True),
        sa.Column("name", sa.String(2048), nullable=False),
        sa.Column("type", sa.String(255), nullable=False),
        sa.Column("runnerClass", sa.String(255), nullable=False),
        sa.Column("context", sa.Text, nullable=False),
        sa.Column("status", sa.String(32), nullable=False, index=True),
        sa.Column("managementNodeUuid", sa.String(32)),
        sa.Column("executedTimes", sa.BigInteger, nullable=False),
        sa.Column("nextDate", sa.DateTime, nullable=False),
        sa.Column("lastError", sa.Text),
        sa.Column("createDate", sa.DateTime, nullable=False),
        sa.Column("lastOpDate", sa.DateTime, nullable=False),
    )
    where = sa.text(UNFINISHED)
    op.create_index(
        "GarbageCollectorUnfinished",
        "GarbageCollectorVO",
        ["name"],
        unique=True,
        sqlite_where=where,
        postgresql_where=where,
    )


def downgrade() -> None:
    """Drop the jobs: 1.0.0 has nothing to remove."""
    op.drop_table("GarbageCollectorVO")
