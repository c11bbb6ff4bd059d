"""Settings that hold for the whole install and change while it runs (since 1.1.0)."""

from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base
from management.server.models.common import Dated


class GlobalConfigVO(Base):
    """One setting. The server makes its row with the default value when it first starts."""

    __tablename__ = "GlobalConfigVO"

    category: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]
    defaultValue: Mapped[str]
    value: Mapped[str]


class ApiTimeoutVO(Dated, Base):
    """An API's timeout that was changed at run time. `innerNames` is written as in the file of timeouts."""

    __tablename__ = "ApiTimeoutVO"

    apiName: Mapped[str] = mapped_column(primary_key=True)
    milliseconds: Mapped[int]
    innerNames: Mapped[str]
