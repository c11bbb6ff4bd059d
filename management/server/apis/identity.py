"""Logging in and out."""

import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from sqlalchemy import delete, select

from management.server.clock import now
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller
from management.server.models.identity import AccountVO, SessionVO
from management.server.passwords import matches
from management.server.query import Inventory

if TYPE_CHECKING:
    from management.server.node import Node

SESSION = Inventory("SessionInventory", SessionVO, ("uuid", "accountUuid", "expiredDate", "createDate"))


class LogInByAccount(ApiMessage):
    """`password` is the sha512 of the password in hex."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APILogInByAccountMsg"
    sync: ClassVar[bool] = True
    needs_session: ClassVar[bool] = False

    accountName: str = Field(min_length=1, max_length=255)
    password: str = Field(min_length=1, max_length=128, repr=False)

    @classmethod
    def answer_name(cls) -> str:
        return "org.zstack.header.identity.APILogInReply"

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.read() as session:
            found = select(AccountVO).where(AccountVO.name == self.accountName)
            account = session.scalars(found).one_or_none()
        if not matches(account.passwordHash if account else None, self.password) or account is None:
            raise ApiError("ID.1000", "the account name or the password is wrong")
        created = now()
        row = SessionVO(
            uuid=uuid.uuid4().hex,
            accountUuid=account.uuid,
            createDate=created,
            expiredDate=created + timedelta(seconds=node.config.session_seconds),
        )
        with node.database.write() as session:
            session.execute(delete(SessionVO).where(SessionVO.expiredDate <= created))
            session.add(row)
        return {"inventory": {**SESSION.render(row), "userUuid": account.uuid}}


class LogOut(ApiMessage):
    """Ends a session. Ending one that does not exist is no mistake."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APILogOutMsg"
    sync: ClassVar[bool] = True
    needs_session: ClassVar[bool] = False

    sessionUuid: str | None = None

    def handle(self, node: "Node", caller: Caller) -> dict[str, Any]:
        ended = self.sessionUuid or caller.session_uuid
        with node.database.write() as session:
            session.execute(delete(SessionVO).where(SessionVO.uuid == ended))
        return {}
