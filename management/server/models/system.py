"""The management node itself and the results of asynchronous calls."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base


class ManagementNodeVO(Base):
    """A running server. The uuid is new at every boot."""

    __tablename__ = "ManagementNodeVO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    hostName: Mapped[str]
    port: Mapped[int]
    state: Mapped[str]
    joinDate: Mapped[datetime]
    heartBeat: Mapped[datetime]


class RestAPIVO(Base):
    """An accepted asynchronous call: Processing, then Done with its result as JSON text."""

    __tablename__ = "RestAPIVO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    apiMessageName: Mapped[str]
    state: Mapped[str]
    result: Mapped[str | None]
    createDate: Mapped[datetime]
    finishedDate: Mapped[datetime | None]
