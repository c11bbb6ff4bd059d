"""Columns that many tables share."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from management.server.clock import now


class Dated:
    """When a row was made and last changed."""

    createDate: Mapped[datetime] = mapped_column(default=now)
    lastOpDate: Mapped[datetime] = mapped_column(default=now, onupdate=now)


class Named(Dated):
    """A resource with an identity and a name."""

    uuid: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str | None]


class Erasable:
    """A row that is deleted softly: `deleted` says when."""

    deleted: Mapped[datetime | None]
