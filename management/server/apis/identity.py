"""Logging in and out, and how long a session lasts."""

import math
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field
from sqlalchemy import Select, delete, select

from management.server.clock import now
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller
from management.server.models.identity import AccountVO, SessionVO
from management.server.passwords import matches
from management.server.query import Inventory

if TYPE_CHECKING:
    from management.server.node import Node

SESSION = Inventory("SessionInventory", SessionVO, ("uuid", "accountUuid", "expiredDate", "createDate"))


MAX_SESSIONS = 500
"""How many an account may have; one more login ends the oldest."""


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

    def handle(self, node: "Node", caller: Caller) -> dict[str, Any]:
        wait = node.throttle.wait(self.accountName, caller.address)
        if wait > 0:
            raise ApiError("ID.1000", f"too many logins failed; try again in {math.ceil(wait)} seconds")
        with node.database.read() as session:
            found = select(AccountVO).where(AccountVO.name == self.accountName)
            account = session.scalars(found).one_or_none()
        if not matches(account.passwordHash if account else None, self.password) or account is None:
            node.throttle.failed(self.accountName, caller.address)
            raise ApiError("ID.1000", "the account name or the password is wrong")
        node.throttle.succeeded(self.accountName, caller.address)
        created = now()
        row = SessionVO(
            uuid=uuid.uuid4().hex,
            accountUuid=account.uuid,
            createDate=created,
            expiredDate=created + timedelta(seconds=node.config.session_seconds),
        )
        with node.database.write() as session:
            session.execute(delete(SessionVO).where(SessionVO.expiredDate <= created))
            session.execute(delete(SessionVO).where(SessionVO.uuid.in_(_beyond_the_limit(account.uuid))))
            session.add(row)
            return {"inventory": {**SESSION.show_one(session, row.uuid), "userUuid": account.uuid}}


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


class ValidateSession(ApiMessage):
    """Whether a session is still good."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APIValidateSessionMsg"
    sync: ClassVar[bool] = True
    needs_session: ClassVar[bool] = False

    sessionUuid: str = Field(min_length=1)

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.read() as session:
            row = session.get(SessionVO, self.sessionUuid)
        return {"validSession": row is not None and row.expiredDate > now()}


class RenewSession(ApiMessage):
    """Lets the caller's session last as long as a new one would."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APIRenewSessionMsg"
    sync: ClassVar[bool] = True
    for_everybody: ClassVar[bool] = True

    def handle(self, node: "Node", caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            row = session.get(SessionVO, caller.session_uuid)
            if row is None:
                raise ApiError("ID.1001", "the session has just ended; log in again")
            row.expiredDate = now() + timedelta(seconds=node.config.session_seconds)
            return {"inventory": {**SESSION.show_one(session, row.uuid), "userUuid": row.accountUuid}}


def _beyond_the_limit(account_uuid: str) -> Select[str]:
    """The sessions of an account that must end before it has room for one more."""
    newest = (
        select(SessionVO.uuid)
        .where(SessionVO.accountUuid == account_uuid)
        .order_by(SessionVO.createDate.desc(), SessionVO.uuid)
        .limit(MAX_SESSIONS - 1)
    )
    return select(SessionVO.uuid).where(SessionVO.accountUuid == account_uuid, SessionVO.uuid.not_in(newest))
