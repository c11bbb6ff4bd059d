"""Manifest → lock: the exact artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from builder.manifest import LoadedManifest
from builder.portable.interpreter import lock_python
from builder.sources.image import lock_image
from builder.sources.rpm import Source, lock_rpms
from builder.sources.wheel import environments, lock_wheels
from builder.targets import WheelTarget, wheel_target
from payload.events import Sink, stage
from payload.model import Lock, LockedImage, LockedRpm, LockedWheel
from payload.store import Store

_AT_ONCE = 4
"""pip spends most of its time on the index's answers."""


def resolve(loaded: LoadedManifest, store: Store, sink: Sink, *, previous: Sequence[LockedRpm] = ()) -> Lock:
    """Resolve everything that the manifest wants. The same manifest and upstreams give the same lock.

    That the packages of the lock before, `previous`, can be upgraded to the new ones is tried too.

    Raises:
        ResolveError: something cannot be resolved, found or built.
        TrustError: an upstream is not signed as the manifest says.
        InputError: an image is not what the manifest claims.
    """
    images = _images(loaded, sink)
    source = Source(loaded.manifest.repository, loaded.folder, store, sink)
    rpms = lock_rpms(source, loaded.manifest.targets, previous)
    python = lock_python(loaded, store, sink)
    with wheel_target(loaded.manifest, python, store) as target:
        wheels, pip = _wheels(loaded, target, store, sink)
    return Lock(manifest=loaded.digest, rpms=rpms, wheels=wheels, pip=pip, images=images, python=python)


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
