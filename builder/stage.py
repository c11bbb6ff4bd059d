"""Store → release tree: which file goes where, for which component."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from builder.checks import unit_name
from builder.lockfile import lock_text
from builder.manifest import LoadedManifest
from builder.sources.wheel import requirement_lines
from payload.lock import Lock, LockedImage, LockedRpm, LockedWheel
from payload.manifest import Image, Manifest
from payload.model import PYTHON_ARCHIVE, SBOM_PATH
from payload.store import Store
from repos.createrepo import create_repository
from repos.offline import REPOSITORY_FOLDER, rpm_key_name
from repos.signing import MetadataKey, write_public_key


@dataclass(frozen=True, slots=True)
class Staged:
    """A file of the release tree: a file on this machine, or the bytes themselves."""

    source: Path | bytes
    path: str
    component: str
    mode: int = 0o644


def stage_release(
    loaded: LoadedManifest,
    lock: Lock,
    store: Store,
    *,
    documents: Mapping[str, bytes],
    rpm_key: AbstractContextManager[MetadataKey],
    scratch: Path,
    sbom: str,
) -> tuple[Staged, ...]:
    """The release tree, sorted by path. `scratch` is an empty folder on which nothing depends after packing.

    Everything that `lock` names must be in `store`, but for its `documents`. The metadata of the repository is signed
    with `rpm_key`, which is not opened for a product without packages.

    Raises:
        UsageError, InputError: the RPM key is missing or unusable.
    """
    tree = [
        *_wheels(lock, store),
        *_python(loaded.manifest, lock, store),
        *_repository(lock.rpms, store, scratch / REPOSITORY_FOLDER),
        *_metadata(loaded.manifest.product.name, lock, documents, rpm_key, scratch / REPOSITORY_FOLDER),
        *_keys(loaded),
        *_images(loaded, lock, store),
        *_templates(loaded),
        Staged(lock_text(lock).encode(), "lock.json", "lock"),
        Staged(sbom.encode(), SBOM_PATH, "sbom"),
    ]
    return tuple(sorted(tree, key=lambda staged: staged.path))


def _wheels(lock: Lock, store: Store) -> Iterator[Staged]:
    yield Staged(store.path(lock.pip.digest), f"tools/{lock.pip.filename}", "tools")
    for environment in sorted({wheel.environment for wheel in lock.wheels}):
        wheels = [wheel for wheel in lock.wheels if wheel.environment == environment]
        agent = environment != "server"
        yield from _environment(environment, environment if agent else f"wheels/{environment}", wheels, store)
        if agent:
            # An agent's folder is copied to other hosts: it brings its own pip.
            yield Staged(store.path(lock.pip.digest), f"{environment}/{lock.pip.filename}", environment)


def _python(manifest: Manifest, lock: Lock, store: Store) -> Iterator[Staged]:
    """The interpreter, in one piece: for the server, and once more in the folder of each agent, which is copied."""
    if manifest.brings_python and lock.python is not None:
        archive = store.path(lock.python.digest)
        yield Staged(archive, PYTHON_ARCHIVE, "python")
        for agent in manifest.agents:
            yield Staged(archive, f"agents/{agent.name}/{PurePosixPath(PYTHON_ARCHIVE).name}", f"agents/{agent.name}")


def _environment(component: str, folder: str, wheels: Sequence[LockedWheel], store: Store) -> Iterator[Staged]:
    for wheel in wheels:
        yield Staged(store.path(wheel.digest), f"{folder}/{wheel.filename}", component)
    yield Staged("".join(requirement_lines(wheels)).encode(), f"{folder}/requirements.txt", component)


def _repository(rpms: Sequence[LockedRpm], store: Store, folder: Path) -> Iterator[Staged]:
    packages = folder / "Packages"
    packages.mkdir(parents=True)
    for rpm in rpms:
        _link(store.path(rpm.digest), packages / rpm.filename)
        yield Staged(store.path(rpm.digest), f"{REPOSITORY_FOLDER}/Packages/{rpm.filename}", "repository")


def _metadata(
    product: str,
    lock: Lock,
    documents: Mapping[str, bytes],
    rpm_key: AbstractContextManager[MetadataKey],
    folder: Path,
) -> Iterator[Staged]:
    """The metadata of the packages that are in `folder`, its signature, and the key to hold it against."""
    if not lock.rpms:
        return
    with rpm_key as key:
        create_repository(folder, revision=lock.revision, documents=documents, sign=key.sign)
        write_public_key(key, folder / rpm_key_name(product))
    for path in (folder / rpm_key_name(product), *sorted((folder / "repodata").iterdir())):
        yield Staged(path, f"{REPOSITORY_FOLDER}/{path.relative_to(folder)}", "repository")


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except FileExistsError:  # two packages of one file name: the lock should not have both
        raise
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def _keys(loaded: LoadedManifest) -> Iterator[Staged]:
    for upstream in loaded.manifest.repository.upstreams:
        for number, name in enumerate(upstream.gpg_keys):
            yield Staged(loaded.folder / name, f"keys/{upstream.id}-{number}.asc", "repository")


def _images(loaded: LoadedManifest, lock: Lock, store: Store) -> Iterator[Staged]:
    locked = {image.name: image for image in lock.images}
    for image in loaded.manifest.images:
        if image.embed:
            source = loaded.folder / image.path if image.path else store.path(locked[image.name].digest)
            yield Staged(source, _image_file(image), f"images/{image.name}")
    rows = [_image_row(image, locked[image.name]) for image in loaded.manifest.images]
    yield Staged((json.dumps(rows, indent=2) + "\n").encode(), "images/images.json", "images")


def _image_file(image: Image) -> str:
    return f"images/{image.name}.qcow2"


def _image_row(image: Image, locked: LockedImage) -> dict[str, object]:
    return {
        "name": image.name,
        "file": _image_file(image) if image.embed else None,
        "url": image.url,
        "digest": locked.digest,
        "size": locked.size,
        "virtual-size": locked.virtual_size,
        "embedded": image.embed,
    }


def _templates(loaded: LoadedManifest) -> Iterator[Staged]:
    server = loaded.manifest.server
    for name in server.units:
        yield Staged(loaded.folder / name, f"templates/units/{unit_name(name)}.j2", "templates")
    for name in sorted({config.template for config in server.config}):
        file = PurePosixPath(name).name.removesuffix(".j2")
        yield Staged(loaded.folder / name, f"templates/config/{file}.j2", "templates")
