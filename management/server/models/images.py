"""Disk images: those that came with the release and those that are only referred to."""

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from management.server.models import Base


class ImageVO(Base):
    """`size` is the file's, `virtualSize` the disk's. Status is Ready, NotEmbedded or Downloading.

    From a `system` image no user can make a VM.
    """

    __tablename__ = "ImageEO"

    uuid: Mapped[str] = mapped_column(primary_key=True)
    name: Mapped[str]
    description: Mapped[str | None]
    url: Mapped[str]
    format: Mapped[str]
    mediaType: Mapped[str]
    platform: Mapped[str]
    state: Mapped[str]
    status: Mapped[str]
    size: Mapped[int | None]
    virtualSize: Mapped[int | None]
    digest: Mapped[str | None]
    system: Mapped[bool] = mapped_column(default=False)
    deleted: Mapped[datetime | None]
    createDate: Mapped[datetime]
    lastOpDate: Mapped[datetime]
