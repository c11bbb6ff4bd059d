"""Who works on what, and who waits for it, where there are several nodes (since 1.1.0)."""

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base
from management.server.models.system import ManagementNodeVO


class ResourceLockVO(Base):
    """A node's place in the queue for `name`. The lowest ticket has the lock; a node that goes leaves all queues."""

    __tablename__ = "ResourceLockVO"

    name: Mapped[str] = mapped_column(primary_key=True)
    managementNodeUuid: Mapped[str] = mapped_column(
        ForeignKey(ManagementNodeVO.uuid, ondelete="CASCADE"), primary_key=True
    )
    ticket: Mapped[int]
