"""What most resources have in common: being made from a message's fields, switched on and off, deleted."""

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field
from sqlalchemy import inspect
from sqlalchemy.orm import Session

from management.server import cascade
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller, CreateMessage
from management.server.models import Base
from management.server.models.tags import SystemTagVO, UserTagVO
from management.server.query import Inventory

if TYPE_CHECKING:
    from management.server.node import Node


class CreateResource(CreateMessage):
    """Makes a row of the inventory's model from those of its own fields that are columns.

    A subclass names its inventory and declares fields; `prepare` gives the columns that no field holds, `after`
    does what else belongs to the same transaction.
    """

    inventory: ClassVar[Inventory]

    name: str = Field(min_length=1, max_length=255)
    description: str | None = Field(default=None, max_length=2048)
    userTags: list[str] = Field(default_factory=list)
    systemTags: list[str] = Field(default_factory=list)

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            row = self.insert(session)
            return {"inventory": self.inventory.show_one(session, row.uuid)}

    def insert(self, session: Session) -> Any:
        """Add the row and its tags.

        Raises:
            ApiError: the resource cannot be made like this.
        """
        model: Any = self.inventory.model
        own = type(self).model_fields.keys() & set(inspect(model).columns.keys())
        columns = {name: getattr(self, name) for name in own}
        row = model(**{**columns, **self.prepare(session)}, uuid=free_uuid(session, model, self.resourceUuid))
        session.add(row)
        session.flush()
        for tag_model, tags in ((UserTagVO, self.userTags), (SystemTagVO, self.systemTags)):
            for tag in tags:
                resource = {"resourceUuid": row.uuid, "resourceType": model.__name__}
                session.add(tag_model(uuid=uuid.uuid4().hex, tag=tag, **resource))
        self.after(session, row)
        session.flush()
        return row

    def prepare(self, _session: Session) -> Mapping[str, Any]:
        return {}

    def after(self, session: Session, row: Any) -> None:
        """Do what belongs to the making of `row`."""


class DeleteResource(ApiMessage):
    """Deletes with everything that hangs on it. Enforcing asks no checks and goes on after failures."""

    model: ClassVar[type[Base]]

    uuid: str
    deleteMode: Literal["Permissive", "Enforcing"] = "Permissive"

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        cascade.delete(node, self.model, self.uuid, force=self.deleteMode == "Enforcing")
        return {}


class ChangeState(ApiMessage):
    """Moves a resource by an event. `moves` says where each event leads from where; all else is refused."""

    inventory: ClassVar[Inventory]
    moves: ClassVar[Mapping[str, Mapping[str, str]]] = {
        "enable": {"Disabled": "Enabled", "Enabled": "Enabled"},
        "disable": {"Enabled": "Disabled", "Disabled": "Disabled"},
    }

    uuid: str
    stateEvent: str

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        event = self.moves.get(self.stateEvent)
        if event is None:
            raise ApiError("SYS.1007", f"stateEvent[{self.stateEvent}] is none of {', '.join(self.moves)}")
        with node.database.write() as session:
            row: Any = session.get_one(self.inventory.model, self.uuid)
            if row.state not in event:
                raise ApiError("SYS.1006", f"{self.stateEvent} is not possible in state[{row.state}]")
            row.state = event[row.state]
            session.flush()
            return {"inventory": self.inventory.show_one(session, row.uuid)}


def free_uuid(session: Session, model: type[Base], wanted: str | None) -> str:
    """A new uuid, or the wanted one.

    Raises:
        ApiError: the wanted one is or was another resource's.
    """
    if wanted is not None and session.get(model, wanted) is not None:
        raise ApiError("SYS.1007", f"resourceUuid[{wanted}] is or was another {model.__name__}'s")
    return wanted or uuid.uuid4().hex
