"""The bill of materials: everything in a bundle and where it came from, as CycloneDX JSON.

It is made from the lock and the files themselves, with the release's time, so that the same inputs give the same bytes.
"""

from __future__ import annotations

import uuid
import zipfile
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.bom import Bom, BomMetaData
from cyclonedx.model.bom_ref import BomRef
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import License
from cyclonedx.model.tool import ToolRepository
from cyclonedx.output.json import JsonV1Dot6

from builder import __version__
from builder.lockfile import lock_text
from builder.purl import image_purl, rpm_purl, wheel_purl
from payload.digest import Digest, digest_bytes, hex_of
from payload.lock import Lock, LockedImage, LockedRpm, LockedWheel
from payload.manifest import Image, Manifest
from payload.store import Store
from repos.header import read_license

_NAMESPACE = uuid.UUID("5c1f9a0e-3d5b-4a53-9a3c-2b9f7c5d8e11")


def sbom_text(manifest: Manifest, lock: Lock, store: Store, *, runtime: Digest, created: int) -> str:
    """The bill of materials of the bundle of `lock`, whose files are in `store`; `runtime` is its frozen runtime.

    Raises:
        IntegrityError: a package or wheel in the store is none.
    """
    product = manifest.product
    digest = digest_bytes(lock_text(lock).encode())
    root = Component(
        name=product.name,
        version=str(product.version),
        description=product.title,
        type=ComponentType.APPLICATION,
        bom_ref="product",
    )
    tool = Component(name="sealift", version=__version__, type=ComponentType.APPLICATION, bom_ref="builder")
    metadata = BomMetaData(
        component=root,
        timestamp=datetime.fromtimestamp(created, UTC),
        tools=ToolRepository(components=[tool]),
        properties=[
            Property(name="sealift:lock", value=digest),
            Property(name="sealift:manifest", value=lock.manifest),
        ],
    )
    images = {image.name: image for image in manifest.images}
    parts = [
        *(_rpm(rpm, store) for rpm in lock.rpms),
        *_wheels((*lock.wheels, lock.pip), store),
        *(_image(image, images[image.name]) for image in lock.images),
        Component(
            name="sealift-runtime",
            version=__version__,
            type=ComponentType.APPLICATION,
            bom_ref="runtime",
            hashes=[_hash(runtime)],
        ),
    ]
    bom = Bom(
        serial_number=uuid.uuid5(_NAMESPACE, f"{digest} {runtime} {created}"), metadata=metadata, components=parts
    )
    bom.register_dependency(root, parts)
    return JsonV1Dot6(bom).output_as_string(indent=1) + "\n"


def _rpm(rpm: LockedRpm, store: Store) -> Component:
    return Component(
        name=rpm.name,
        version=f"{rpm.version}-{rpm.release}",
        type=ComponentType.LIBRARY,
        bom_ref=rpm.digest,
        purl=rpm_purl(rpm),
        hashes=[_hash(rpm.digest)],
        licenses=_licenses(read_license(store.path(rpm.digest))),
        properties=[Property(name="sealift:location", value=rpm.location)],
    )


def _wheels(wheels: Iterable[LockedWheel], store: Store) -> Iterator[Component]:
    """Each wheel once, with the environments that it is in."""
    grouped: dict[Digest, list[LockedWheel]] = {}
    for wheel in wheels:
        grouped.setdefault(wheel.digest, []).append(wheel)
    for digest, same in grouped.items():
        first = same[0]
        sources = (("sealift:sources", wheel.sources) for wheel in same if wheel.sources)
        places = (("sealift:environment", wheel.environment) for wheel in same)
        yield Component(
            name=first.name,
            version=str(first.version),
            type=ComponentType.LIBRARY,
            bom_ref=digest,
            purl=wheel_purl(first),
            hashes=[_hash(digest)],
            licenses=_licenses(_wheel_license(store.path(digest))),
            properties=[Property(name=name, value=value) for name, value in sorted({*sources, *places})],
        )


def _image(locked: LockedImage, image: Image) -> Component:
    return Component(
        name=locked.name,
        type=ComponentType.FILE,
        bom_ref=BomRef(f"image:{locked.name}"),
        purl=image_purl(locked, image),
        hashes=[_hash(locked.digest)],
        properties=[Property(name="sealift:embedded", value=str(image.embed).lower())],
    )


def _wheel_license(path: Path) -> str | None:
    """What the wheel's metadata calls its license, shortest and newest field first."""
    with zipfile.ZipFile(path) as wheel:
        name = next((name for name in wheel.namelist() if name.endswith(".dist-info/METADATA")), None)
        if name is None:
            return None
        fields = HeaderParser().parsestr(wheel.read(name).decode(errors="replace"))
    if given := fields["License-Expression"] or fields["License"]:
        return str(given).strip().splitlines()[0]
    classes = [value for value in fields.get_all("Classifier", []) if value.startswith("License :: ")]
    return classes[0].rpartition(" :: ")[2] if classes else None


def _licenses(text: str | None) -> list[License]:
    return [LicenseFactory().make_from_string(text)] if text else []


def _hash(digest: Digest) -> HashType:
    return HashType(alg=HashAlgorithm.SHA_256, content=hex_of(digest))
