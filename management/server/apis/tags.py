"""Tags on resources of every kind (since 1.1.0)."""

import uuid
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field
from sqlalchemy import select

from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller, Resource
from management.server.models import Base
from management.server.models.tags import SystemTagVO, UserTagVO
from management.server.query import INVENTORIES, ON_ALL, Inventory, QueryMessage, Values

if TYPE_CHECKING:
    from management.server.node import Node

TAG = ("uuid", "resourceUuid", "resourceType", "tag", "type", "createDate", "lastOpDate")
USER_TAG = Inventory("UserTagInventory", UserTagVO, TAG)
SYSTEM_TAG = Inventory("SystemTagInventory", SystemTagVO, (*TAG, "inherent"))

for _name, _model in (("__userTag__", UserTagVO), ("__systemTag__", SystemTagVO)):
    ON_ALL[_name] = Values(_name, _model.tag, _model.resourceUuid, _model.resourceType)


class QueryUserTag(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.tag.APIQueryUserTagMsg"
    inventory: ClassVar[Inventory] = USER_TAG


class QuerySystemTag(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.tag.APIQuerySystemTagMsg"
    inventory: ClassVar[Inventory] = SYSTEM_TAG


class CreateTag(ApiMessage):
    """Tags a resource. The same tag twice is one tag."""

    inventory: ClassVar[Inventory]

    resourceType: str
    resourceUuid: str
    tag: str = Field(min_length=1, max_length=2048)

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        model: Any = self.inventory.model
        with node.database.write() as session:
            tagged = _taggable().get(self.resourceType)
            if tagged is None:
                text = f"resourceType[{self.resourceType}] is none of {', '.join(sorted(_taggable()))}"
                raise ApiError("SYS.1007", text)
            row: Any = session.get(tagged, self.resourceUuid)
            if row is None or getattr(row, "deleted", None) is not None:
                text = f"there is no resource[uuid:{self.resourceUuid}, type:{self.resourceType}]"
                raise ApiError("SYS.1003", text)
            what = {"resourceType": self.resourceType, "resourceUuid": self.resourceUuid, "tag": self.tag}
            tag = session.scalars(select(model).filter_by(**what)).first()
            if tag is None:
                tag = model(uuid=uuid.uuid4().hex, **what)
                session.add(tag)
                session.flush()
            return {"inventory": self.inventory.show_one(session, tag.uuid)}


class CreateUserTag(CreateTag):
    wire_name: ClassVar[str] = "org.zstack.header.tag.APICreateUserTagMsg"
    inventory: ClassVar[Inventory] = USER_TAG


class CreateSystemTag(CreateTag):
    wire_name: ClassVar[str] = "org.zstack.header.tag.APICreateSystemTagMsg"
    inventory: ClassVar[Inventory] = SYSTEM_TAG


class DeleteTag(ApiMessage):
    wire_name: ClassVar[str] = "org.zstack.header.tag.APIDeleteTagMsg"

    uuid: Annotated[str, Resource(UserTagVO)]

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            session.delete(session.get_one(UserTagVO, self.uuid))
        return {}


def _taggable() -> dict[str, type[Base]]:
    return {inventory.model.__name__: inventory.model for inventory in INVENTORIES.values() if inventory.alive}
