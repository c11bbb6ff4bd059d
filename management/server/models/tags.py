"""Tags: free words of users, and words with a meaning to the server (since 1.1.0)."""

from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base
from management.server.models.common import Dated


class UserTagVO(Dated, Base):
    """`resourceType` is the name of the resource's table class, e.g. HostVO."""

    __tablename__ = "UserTagVO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    resourceUuid: Mapped[str]
    resourceType: Mapped[str]
    tag: Mapped[str]
    type: Mapped[str] = mapped_column(default="User")


class SystemTagVO(Dated, Base):
    """`inherent` tags are the server's own; users cannot delete them."""

    __tablename__ = "SystemTagVO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    resourceUuid: Mapped[str]
    resourceType: Mapped[str]
    tag: Mapped[str]
    type: Mapped[str] = mapped_column(default="System")
    inherent: Mapped[bool] = mapped_column(default=False)
