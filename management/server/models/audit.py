"""The audit log (since 1.1.0)."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base


class AuditVO(Base):
    """One change of one row. `changes` is JSON: `{"field": [from, to]}`.

    `accountUuid` is null for what the server did of its own accord; `apiName` is the call that led to it.
    """

    __tablename__ = "AuditVO"

    id: Mapped[int] = mapped_column(primary_key=True)
    resourceType: Mapped[str]
    resourceUuid: Mapped[str]
    action: Mapped[str]
    changes: Mapped[str]
    accountUuid: Mapped[str | None]
    apiName: Mapped[str | None]
    createDate: Mapped[datetime]
