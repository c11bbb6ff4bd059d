"""Registering the disk images that a release brings or refers to."""

import uuid
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError
from sqlalchemy import select

from management.server.clock import now
from management.server.commanderror import CommandError
from management.server.database import Database
from management.server.models.images import ImageVO


class ImageError(CommandError):
    """The list of images cannot be used, or an image is not what the list says."""


class ImageSpec(BaseModel):
    """One image, as an installer lists it. With a `path` it is on this host; without, `url` says where to get it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Annotated[str, Field(min_length=1, max_length=255)]
    url: str | None = None
    path: Path | None = None
    digest: Annotated[str, Field(pattern="^sha256:[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]
    virtual_size: Annotated[int | None, Field(ge=0, alias="virtual-size")] = None
    embedded: bool | None = None
    format: str = "qcow2"
    description: str | None = None


def parse_specs(text: str) -> list[ImageSpec]:
    """Read a JSON array of images.

    Raises:
        ImageError: it is not one; every mistake is named.
    """
    try:
        return TypeAdapter(list[ImageSpec]).validate_json(text)
    except ValidationError as error:
        mistakes = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_input=False))
        raise ImageError("; ".join(mistakes)) from error


def register(database: Database, specs: list[ImageSpec]) -> int:
    """Make one inventory row per image, or bring the row of that name up to date. Returns how many changed.

    Raises:
        ImageError: a file is missing or has another size, or an image has neither path nor url. Then no row changes.
    """
    changed = 0
    with database.write() as session:
        for spec in specs:
            row = session.scalars(select(ImageVO).where(ImageVO.name == spec.name)).one_or_none()
            if row is None:
                moment = now()
                row = ImageVO(uuid=uuid.uuid4().hex, name=spec.name, createDate=moment, lastOpDate=moment)
                session.add(row)
            changed += _bring_up_to_date(row, spec)
    return changed


def _bring_up_to_date(row: ImageVO, spec: ImageSpec) -> bool:
    wanted = {
        "url": _locate(spec),
        "description": spec.description,
        "format": spec.format,
        "mediaType": "RootVolumeTemplate",
        "platform": "Linux",
        "state": "Enabled",
        "status": "Ready" if spec.path else "NotEmbedded",
        "size": spec.size,
        "virtualSize": spec.virtual_size,
        "digest": spec.digest,
        "deleted": None,
    }
    different = {name: value for name, value in wanted.items() if getattr(row, name) != value}
    for name, value in different.items():
        setattr(row, name, value)
    if different:
        row.lastOpDate = now()
    return bool(different)


def _locate(spec: ImageSpec) -> str:
    if spec.path is None:
        if spec.url is None:
            raise ImageError(f"{spec.name}: neither a path nor a url is given")
        return spec.url
    try:
        size = spec.path.stat().st_size
    except OSError as error:
        raise ImageError(f"{spec.name}: {spec.path}: {error.strerror}") from error
    if size != spec.size:
        raise ImageError(f"{spec.name}: {spec.path} has {size} bytes, {spec.size} were expected")
    return spec.path.resolve().as_uri()
