"""Switching images on and off, and deleting them (since 1.1.0)."""

from typing import Annotated, ClassVar

from management.server.apis.images import IMAGE
from management.server.cascade import Kind
from management.server.messages import Resource
from management.server.models import Base
from management.server.models.images import ImageVO
from management.server.query import Inventory
from management.server.resources import ChangeState, DeleteResource

KIND = Kind(ImageVO)


class ChangeImageState(ChangeState):
    wire_name: ClassVar[str] = "org.zstack.header.image.APIChangeImageStateMsg"
    inventory: ClassVar[Inventory] = IMAGE

    uuid: Annotated[str, Resource(ImageVO)]


class DeleteImage(DeleteResource):
    """Virtual router offerings with this image go with it. Its file, if a release brought it, stays."""

    wire_name: ClassVar[str] = "org.zstack.header.image.APIDeleteImageMsg"
    model: ClassVar[type[Base]] = ImageVO

    uuid: Annotated[str, Resource(ImageVO)]
