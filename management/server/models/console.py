"""The console proxy agent of a management node (since 1.1.0)."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base
from management.server.models.system import ManagementNodeVO


class ConsoleProxyAgentVO(Base):
    """Has the uuid of its node and goes with it."""

    __tablename__ = "ConsoleProxyAgentVO"

    uuid: Mapped[str] = mapped_column(ForeignKey(ManagementNodeVO.uuid), primary_key=True)
    description: Mapped[str | None]
    managementIp: Mapped[str]
    type: Mapped[str]
    status: Mapped[str]
    state: Mapped[str]
    createDate: Mapped[datetime]
    lastOpDate: Mapped[datetime]
