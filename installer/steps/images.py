"""Images that came with the bundle: put where the product looks for them, and listed."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from typing_extensions import override

from installer.steps.base import Host, Step, register
from installer.steps.saved import SavedFiles, missing_parents, remove_empty, restore, save
from installer.writing import write_file
from payload.digest import Digest, digest_file
from payload.effects import fsync_dir
from payload.errors import IntegrityError

LIST_NAME = "images.json"


@dataclass(frozen=True, slots=True)
class RegisteredImage:
    """An image to be listed; `source` is None for one that is not embedded."""

    name: str
    digest: Digest
    size: int
    virtual_size: int
    url: str | None
    source: Path | None

    @property
    def file_name(self) -> str:
        """Named by content: an image that a running guest uses is never replaced."""
        return f"{self.name}-{self.digest.removeprefix('sha256:')[:12]}.qcow2"


@dataclass(frozen=True, slots=True)
class ImagesBefore:
    """Undo data."""

    saved: SavedFiles
    existed: tuple[str, ...]
    folders: tuple[Path, ...]


@register
@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterImages(Step[ImagesBefore]):
    """Link (or copy, across file systems) embedded images into `folder` and list all images in its images.json."""

    kind: ClassVar[str] = "images"
    undo_type: ClassVar[type[Any]] = ImagesBefore
    folder: Path
    images: tuple[RegisteredImage, ...]

    @override
    def describe(self) -> str:
        here = [image.name for image in self.images if image.source]
        away = [image.name for image in self.images if not image.source]
        left = f"; not embedded: {', '.join(away)}" if away else ""
        return f"register the images {', '.join(here) or '(none)'} in {self.folder}{left}"

    @override
    def undone(self) -> str:
        return "remove the images that are new, and put their list back"

    @override
    def prepare(self, host: Host) -> ImagesBefore:
        existed = tuple(image.file_name for image in self.images if (self.folder / image.file_name).exists())
        return ImagesBefore(save([self.folder / LIST_NAME], host.scratch), existed, missing_parents(self.folder))

    @override
    def apply(self, host: Host, undo: ImagesBefore) -> None:
        self.folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        for image in self.images:
            if image.source is not None:
                _place(image.source, self.folder / image.file_name, image.digest)
        fsync_dir(self.folder)
        write_file(self.folder / LIST_NAME, self.listing().encode())

    @override
    def undo(self, undo: ImagesBefore, host: Host) -> None:
        if self.folder.is_dir():  # else it was never made, or something else lies in its place
            restore(undo.saved)
            for image in self.images:
                _unfinished(self.folder / image.file_name).unlink(missing_ok=True)
                if image.file_name not in undo.existed:
                    (self.folder / image.file_name).unlink(missing_ok=True)
        remove_empty(undo.folders)

    def listing(self) -> str:
        """The text of images.json."""
        return json.dumps([self._row(image) for image in self.images], indent=2) + "\n"

    def _row(self, image: RegisteredImage) -> dict[str, object]:
        return {
            "name": image.name,
            "path": str(self.folder / image.file_name) if image.source else None,
            "embedded": image.source is not None,
            "url": image.url,
            "digest": image.digest,
            "size": image.size,
            "virtual-size": image.virtual_size,
        }


def _place(source: Path, target: Path, digest: Digest) -> None:
    if target.exists() and digest_file(target) == digest:
        return
    temporary = _unfinished(target)
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, temporary)
    if digest_file(temporary) != digest:
        temporary.unlink()
        raise IntegrityError("image-damaged", f"{source} is not what its digest says")
    temporary.chmod(0o644)
    temporary.rename(target)


def _unfinished(target: Path) -> Path:
    return target.with_name(f".{target.name}.new")
