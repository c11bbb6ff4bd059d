"""Jobs of the garbage collection (since 1.1.0)."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base
from management.server.models.common import Dated


class GarbageCollectorVO(Dated, Base):
    """`context` is JSON. Status is Idle, Processing (by `managementNodeUuid`) or Done.

    Of the jobs that are not done, each name is there once. An Idle one is not tried before `nextDate`, unless an
    event asks for it; `lastError` says why the last attempt failed.
    """

    __tablename__ = "GarbageCollectorVO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    type: Mapped[str]
    runnerClass: Mapped[str]
    context: Mapped[str]
    status: Mapped[str] = mapped_column(default="Idle")
    managementNodeUuid: Mapped[str | None]
    executedTimes: Mapped[int] = mapped_column(default=0)
    nextDate: Mapped[datetime]
    lastError: Mapped[str | None]
