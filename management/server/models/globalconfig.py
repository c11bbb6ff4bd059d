"""Settings that hold for the whole install and change while it runs (since 1.1.0)."""

from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base


class GlobalConfigVO(Base):
    """One setting. The server makes its row with the default value when it first starts."""

    __tablename__ = "GlobalConfigVO"

    category: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(primary_key=True)
    description: Mapped[str]
    defaultValue: Mapped[str]
    value: Mapped[str]
