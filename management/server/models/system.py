"""The management nodes that live."""

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
