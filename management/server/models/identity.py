"""Accounts and their sessions."""

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base

ADMIN_UUID = "36c27e8ff05c4780bf6d2fa65700f22e"


class AccountVO(Base):
    """`passwordHash` is argon2 over what clients send, and None until the operator sets a password."""

    __tablename__ = "AccountVO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    passwordHash: Mapped[str | None]
    createDate: Mapped[datetime]
    lastOpDate: Mapped[datetime]


class SessionVO(Base):
    """A login. It ends at `expiredDate`, which use does not move."""

    __tablename__ = "SessionVO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    accountUuid: Mapped[str] = mapped_column(ForeignKey(AccountVO.uuid))
    expiredDate: Mapped[datetime]
    createDate: Mapped[datetime]
