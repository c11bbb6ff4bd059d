"""Manifest → lock: the exact artifacts."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from builder.manifest import LoadedManifest
from builder.portable.interpreter import lock_python
from builder.sources.image import lock_image
from builder.sources.rpm import Source, nevra_of, resolve_rpms
from builder.sources.wheel import environments, lock_wheels
from builder.targets import WheelTarget, wheel_target
from payload.digest import digest_bytes
from payload.events import Sink, stage
from payload.lock import Lock, LockedDocument, LockedImage, LockedRpm, LockedWheel
from payload.store import Store
from repos.documents import KEPT_KINDS, kept_documents
from repos.repomd import next_revision

_AT_ONCE = 4
"""pip spends most of its time on the index's answers."""


@dataclass(frozen=True, slots=True)
class Resolved:
    """A lock, and the documents that it names: plain texts by kind."""

    lock: Lock
    documents: Mapping[str, bytes]


def resolve(loaded: LoadedManifest, store: Store, sink: Sink, *, previous: Lock | None = None) -> Resolved:
    """Resolve everything that the manifest wants. The same manifest, upstreams and lock before, `previous`, give the
    same lock.

    That the packages of the lock before can be upgraded to the new ones is tried too.

    Raises:
        ResolveError: something cannot be resolved, found or built.
        TrustError: an upstream is not signed as the manifest says.
        InputError: an image is not what the manifest claims.
    """
    images = _images(loaded, sink)
    source = Source(loaded.manifest.repository, loaded.folder, store, sink)
    repository = _repository(source, loaded, previous)
    python = lock_python(loaded, store, sink)
    with wheel_target(loaded.manifest, python, store) as target:
        wheels, pip = _wheels(loaded, target, store, sink)
    lock = Lock(
        manifest=loaded.digest,
        revision=repository.revision,
        rpms=repository.rpms,
        documents=repository.rows,
        wheels=wheels,
        pip=pip,
        images=images,
        python=python,
    )
    return Resolved(lock, repository.documents)


@dataclass(frozen=True, slots=True)
class _Repository:
    revision: int = 1
    rpms: tuple[LockedRpm, ...] = ()
    documents: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def rows(self) -> tuple[LockedDocument, ...]:
        """The lock's rows of the documents."""
        digests = ((kind, digest_bytes(text)) for kind, text in sorted(self.documents.items()))
        return tuple(LockedDocument.model_validate({"kind": kind, "digest": digest}) for kind, digest in digests)


def _repository(source: Source, loaded: LoadedManifest, previous: Lock | None) -> _Repository:
    before = 0 if previous is None else previous.revision
    if not source.repository.packages:
        return _Repository(max(before, 1))
    upstreams = source.metadata(*KEPT_KINDS)
    rpms = resolve_rpms(source, upstreams, loaded.manifest.targets, () if previous is None else previous.rpms)
    revision = next_revision(before, (one.repomd.revision for one in upstreams))
    found = _Repository(revision, rpms, kept_documents(upstreams, map(nevra_of, rpms)))
    if previous is not None and (rpms, found.rows) == (previous.rpms, previous.documents):
        return replace(found, revision=before)
    return found


def _wheels(
    loaded: LoadedManifest, target: WheelTarget, store: Store, sink: Sink
) -> tuple[tuple[LockedWheel, ...], LockedWheel]:
    wanted = environments(loaded.manifest)
    one = partial(lock_wheels, folder=loaded.folder, target=target, store=store)
    with (
        stage(sink, "wheels", f"resolve the wheels of {len(wanted) - 1} environments for Python {target.python}"),
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        *found, (pip,) = pool.map(one, wanted)
    return tuple(wheel for wheels in found for wheel in wheels), pip


def _images(loaded: LoadedManifest, sink: Sink) -> tuple[LockedImage, ...]:
    images = loaded.manifest.images
    if not images:
        return ()
    with stage(sink, "images", f"look at {len(images)} images"):
        return tuple(lock_image(image, loaded.folder) for image in images)
