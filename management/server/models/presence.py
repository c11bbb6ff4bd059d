"""When each host was last seen (since 1.1.0): the columns of HostEO that 1.0.0 does not have."""

from datetime import datetime

from sqlalchemy import Column, DateTime, Table
from sqlalchemy.orm import Mapped

from management.server.models import Base
from management.server.models.hosts import HostVO

_table = Table(HostVO.__tablename__, Base.metadata, Column("lastSeenDate", DateTime), extend_existing=True)


class HostPresenceVO(Base):
    """The same row as HostVO, seen through its newer columns only."""

    __table__ = _table
    __mapper_args__ = {"include_properties": ["uuid", "lastSeenDate"]}  # noqa: RUF012

    uuid: Mapped[str]
    lastSeenDate: Mapped[datetime | None]
