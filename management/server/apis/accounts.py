"""Accounts: admin makes them; they may ask about everything and change their own password."""

import uuid
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from management.server.clock import now
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller, CreateMessage, Resource
from management.server.models.identity import ADMIN_UUID, AccountVO, SessionVO
from management.server.passwords import stored
from management.server.query import Inventory, QueryMessage

if TYPE_CHECKING:
    from management.server.node import Node

ACCOUNT = Inventory("AccountInventory", AccountVO, ("uuid", "name", "createDate", "lastOpDate"))

Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{128}$")]
"""What clients send for a password: its sha512 in hex."""


class CreateAccount(CreateMessage):
    """`password` is the sha512 of the password in hex."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APICreateAccountMsg"

    name: str = Field(min_length=1, max_length=255)
    password: Digest = Field(repr=False)

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        moment = now()
        row = AccountVO(
            uuid=self.resourceUuid or uuid.uuid4().hex,
            name=self.name,
            passwordHash=stored(self.password),
            createDate=moment,
            lastOpDate=moment,
        )
        with node.database.write() as session:
            _check_name(session, self.name)
            if session.get(AccountVO, row.uuid) is not None:
                raise ApiError("SYS.1007", f"field[resourceUuid]: there is an account[uuid:{row.uuid}]")
            session.add(row)
            session.flush()
            return {"inventory": ACCOUNT.show_one(session, row.uuid)}


class UpdateAccount(ApiMessage):
    """Gives an account another name or password. A new password ends the account's other sessions."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APIUpdateAccountMsg"
    for_everybody: ClassVar[bool] = True

    uuid: Annotated[str, Resource(AccountVO)]
    name: str | None = Field(default=None, min_length=1, max_length=255)
    password: Digest | None = Field(default=None, repr=False)

    def handle(self, node: "Node", caller: Caller) -> dict[str, Any]:
        admin = caller.account_uuid == ADMIN_UUID
        if not admin and (caller.account_uuid != self.uuid or self.name is not None):
            raise ApiError("ID.1002", "an account may change its own password only")
        if self.uuid == ADMIN_UUID and self.name is not None:
            raise ApiError("SYS.1007", "field[name]: the account admin keeps its name")
        with node.database.write() as session:
            row = session.get_one(AccountVO, self.uuid)
            if self.name is not None and self.name != row.name:
                _check_name(session, self.name)
                row.name = self.name
            if self.password is not None:
                row.passwordHash = stored(self.password)
                others = SessionVO.accountUuid == self.uuid, SessionVO.uuid != caller.session_uuid
                session.execute(delete(SessionVO).where(*others))
            row.lastOpDate = now()
            return {"inventory": ACCOUNT.show_one(session, row.uuid)}


class DeleteAccount(ApiMessage):
    """Deletes an account and ends its sessions."""

    wire_name: ClassVar[str] = "org.zstack.header.identity.APIDeleteAccountMsg"

    uuid: Annotated[str, Resource(AccountVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        if self.uuid == ADMIN_UUID:
            raise ApiError("SYS.1007", "field[uuid]: the account admin cannot be deleted")
        with node.database.write() as session:
            session.execute(delete(SessionVO).where(SessionVO.accountUuid == self.uuid))
            session.execute(delete(AccountVO).where(AccountVO.uuid == self.uuid))
        return {}


class QueryAccount(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.identity.APIQueryAccountMsg"
    inventory: ClassVar[Inventory] = ACCOUNT


def _check_name(session: Session, name: str) -> None:
    if session.scalars(select(AccountVO).where(AccountVO.name == name)).first() is not None:
        raise ApiError("SYS.1007", f"field[name]: there is an account[{name}]")
