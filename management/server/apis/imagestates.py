"""Adding images by URL, switching them on and off, and deleting them (since 1.1.0)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field
from sqlalchemy import select
from sqlalchemy.orm import Session

from management.server.apis.images import IMAGE
from management.server.cascade import Kind
from management.server.clock import now
from management.server.compute import imagestore
from management.server.errors import ApiError
from management.server.messages import Caller, Resource
from management.server.models import Base
from management.server.models.images import ImageVO
from management.server.query import Inventory
from management.server.resources import ChangeState, CreateResource, DeleteResource

if TYPE_CHECKING:
    from management.server.node import Node

KIND = Kind(ImageVO)


class AddImage(CreateResource):
    """Has backup storages download an image. When none can, nothing of it is left."""

    wire_name: ClassVar[str] = "org.zstack.header.image.APIAddImageMsg"
    inventory: ClassVar[Inventory] = IMAGE

    url: str = Field(pattern=r"^(https?|file)://[!-~]+$", max_length=2048)
    format: Literal["qcow2", "raw", "iso"] = "qcow2"
    mediaType: Literal["RootVolumeTemplate", "DataVolumeTemplate", "ISO"] = "RootVolumeTemplate"
    platform: Literal["Linux", "Windows", "Other", "Paravirtualization", "WindowsVirtio"] = "Linux"
    system: bool = False
    backupStorageUuids: list[str] = Field(min_length=1)

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        with node.database.write() as session:
            image = self.insert(session)
            imagestore.expect(node, session, image.uuid)
        imagestore.download(node, image.uuid)
        with node.database.read() as session:
            return {"inventory": IMAGE.show_one(session, image.uuid)}

    def prepare(self, session: Session) -> Mapping[str, Any]:
        moment = now()
        namesake = session.scalars(select(ImageVO).where(ImageVO.name == self.name)).one_or_none()
        if namesake is not None and namesake.deleted is None:
            raise ApiError("SYS.1006", f"image[uuid:{namesake.uuid}] has the name {self.name} already")
        if namesake is not None:
            # Releases know their images by name: each is there once, among the deleted too.
            namesake.name = f"{self.name[:200]} (deleted, {namesake.uuid})"
            session.flush()
        return {"state": "Enabled", "status": "Downloading", "createDate": moment, "lastOpDate": moment}

    def after(self, session: Session, row: Any) -> None:
        imagestore.add_refs(session, row, self.backupStorageUuids)


class ChangeImageState(ChangeState):
    wire_name: ClassVar[str] = "org.zstack.header.image.APIChangeImageStateMsg"
    inventory: ClassVar[Inventory] = IMAGE

    uuid: Annotated[str, Resource(ImageVO)]


class DeleteImage(DeleteResource):
    """Its files on backup storages and virtual router offerings with it go too. A file that a release brought stays."""

    wire_name: ClassVar[str] = "org.zstack.header.image.APIDeleteImageMsg"
    model: ClassVar[type[Base]] = ImageVO

    uuid: Annotated[str, Resource(ImageVO)]
