"""Disk images."""

from typing import ClassVar

from management.server.models.images import ImageVO
from management.server.query import Inventory, Link, QueryMessage

IMAGE = Inventory(
    "ImageInventory",
    ImageVO,
    (
        "uuid",
        "name",
        "description",
        "url",
        "format",
        "mediaType",
        "platform",
        "state",
        "status",
        "size",
        "virtualSize",
        "digest",
        "system",
        "createDate",
        "lastOpDate",
    ),
    alive="deleted",
    links=(Link("backupStorageRefs", "ImageBackupStorageRefInventory", theirs="imageUuid", shown=True),),
)


class QueryImage(QueryMessage):
    wire_name: ClassVar[str] = "org.zstack.header.image.APIQueryImageMsg"
    inventory: ClassVar[Inventory] = IMAGE
