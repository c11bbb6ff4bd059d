"""qcow2 images: what their header says, and whether that is what the manifest claims."""

from __future__ import annotations

import struct
from pathlib import Path

from payload.digest import digest_file, hex_of
from payload.errors import InputError
from payload.lock import LockedImage
from payload.manifest import Image

_HEADER = struct.Struct(">4sIQIIQ")
"""Magic, version, offset and length of the backing file's name, cluster bits, virtual size."""
_MAGIC = b"QFI\xfb"
_DATA_FILE = 1 << 2
"""Incompatible feature: the guest's data lies in another file."""
HEADER_SIZE = 80


def virtual_size(header: bytes, where: str) -> int:
    """The size of the guest's disk, from the first 80 bytes of a qcow2 file.

    Raises:
        InputError: it is no qcow2 image, or one that needs another file.
    """
    if len(header) < _HEADER.size or header[:4] != _MAGIC:
        raise _unfit(where, "it is not a qcow2 file", "convert it: qemu-img convert -O qcow2 IN OUT")
    _, version, backing, _, cluster_bits, size = _HEADER.unpack_from(header)
    if version not in (2, 3) or not 9 <= cluster_bits <= 21 or size == 0:
        raise _unfit(where, f"its header is damaged (version {version}, cluster bits {cluster_bits}, size {size})", "")
    if version == 3 and len(header) < HEADER_SIZE:
        raise _unfit(where, "its header is truncated", "")
    if backing:
        raise _unfit(where, "it needs a backing file", "make it whole: qemu-img convert -O qcow2 IN OUT")
    if version == 3 and struct.unpack_from(">Q", header, 72)[0] & _DATA_FILE:
        raise _unfit(where, "its data lies in an external file", "make it whole: qemu-img convert -O qcow2 IN OUT")
    return int(size)


def read_virtual_size(path: Path) -> int:
    """The size of the guest's disk of the image at `path`.

    Raises:
        InputError: it is no qcow2 image, or one that needs another file.
    """
    with path.open("rb") as stream:
        return virtual_size(stream.read(HEADER_SIZE), path.name)


def lock_image(image: Image, folder: Path) -> LockedImage:
    """Digest and sizes of `image`: measured where it is a file in `folder`, claimed where it is a URL.

    Raises:
        InputError: the file is not what the manifest claims, or no qcow2 image that stands alone.
    """
    if image.path is None:
        assert image.sha256 and image.size and image.virtual_size  # noqa: S101 - Image demands them beside a URL
        return LockedImage(
            name=image.name, digest=f"sha256:{image.sha256}", size=image.size, virtual_size=image.virtual_size
        )
    path = folder / image.path
    size, virtual, digest = path.stat().st_size, read_virtual_size(path), digest_file(path)
    _compare(image.name, "size", image.size, size)
    _compare(image.name, "virtual-size", image.virtual_size, virtual)
    _compare(image.name, "sha256", image.sha256, hex_of(digest))
    return LockedImage(name=image.name, digest=digest, size=size, virtual_size=virtual)


def check_fetched(path: Path, locked: LockedImage) -> None:
    """Compare a downloaded image, whose digest fits already, with what the lock says of it.

    Raises:
        InputError: a size differs.
    """
    _compare(locked.name, "size", locked.size, path.stat().st_size)
    _compare(locked.name, "virtual-size", locked.virtual_size, read_virtual_size(path))


def _compare(name: str, key: str, claimed: object, found: object) -> None:
    if claimed is not None and claimed != found:
        raise InputError(
            "image-mismatch",
            f"image {name!r} is not what the manifest says",
            details=f"{key}: the manifest says {claimed}, the file has {found}",
            remedy="correct the manifest, or get the right image",
        )


def _unfit(where: str, why: str, remedy: str) -> InputError:
    return InputError("image-unfit", f"{where} cannot be used as an image: {why}", remedy=remedy)
