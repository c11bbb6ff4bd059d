"""Lock → store: everything that the lock names is there afterwards. With a warm store, nothing is asked or run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from builder.manifest import LoadedManifest
from builder.portable.interpreter import fetch_python
from builder.sources.image import check_fetched
from builder.sources.project import build_wheel, sources_digest
from builder.sources.rpm import Source, fetch_rpms
from builder.sources.wheel import environments, fetch_wheels
from builder.targets import WheelTarget, wheel_target
from payload.digest import digest_file
from payload.errors import InputError, ResolveError
from payload.events import Sink, stage
from payload.lock import Lock, LockedWheel
from payload.store import Store
from repos.sync import Download, Fetcher

_AT_ONCE = 4


def fetch(loaded: LoadedManifest, lock: Lock, store: Store, sink: Sink) -> None:
    """Bring everything that `lock` names into `store`; images by path stay where they are.

    Raises:
        InputError: local sources or images changed after the lock.
        ResolveError, IntegrityError: something cannot be had as it was locked.
        TrustError: a package is not signed by its upstream's keys.
    """
    _check_sources(loaded, lock)
    fetch_rpms(Source(loaded.manifest.repository, loaded.folder, store, sink), lock.rpms)
    fetch_python(loaded, lock.python, store, sink)
    _wheels(loaded, lock, store, sink)
    _images(loaded, lock, store, sink)


def _check_sources(loaded: LoadedManifest, lock: Lock) -> None:
    for environment in environments(loaded.manifest):
        now = {sources_digest(loaded.folder / project): project for project in environment.projects}
        locked = {wheel.sources for wheel in lock.wheels if wheel.environment == environment.name and wheel.sources}
        if now.keys() != locked:
            changed = sorted(project for digest, project in now.items() if digest not in locked)
            raise InputError(
                "lock-stale",
                f"the sources of {', '.join(changed) or environment.name} changed after the lock was made",
                remedy=f"run: sealift lock {loaded.path}",
            )


def _wheels(loaded: LoadedManifest, lock: Lock, store: Store, sink: Sink) -> None:
    missing = [wheel for wheel in (*lock.wheels, lock.pip) if not store.has(wheel.digest)]
    if not missing:
        return
    with (
        stage(sink, "wheels", f"fetch {len(missing)} wheels"),
        wheel_target(loaded.manifest, lock.python, store) as target,
        ThreadPoolExecutor(_AT_ONCE) as pool,
    ):
        _build_missing(loaded, [wheel for wheel in missing if wheel.source == "path"], target, store)
        rounds = _rounds(wheel for wheel in missing if wheel.source == "index")
        list(pool.map(partial(fetch_wheels, target=target, store=store), rounds))


def _rounds(wheels: Iterable[LockedWheel]) -> Iterator[list[LockedWheel]]:
    """Groups in which each project has one version, as pip wants them; each file once."""
    groups: list[dict[str, LockedWheel]] = []
    for wheel in {wheel.digest: wheel for wheel in wheels}.values():
        free = next((group for group in groups if wheel.name not in group), None)
        if free is None:
            groups.append(free := {})
        free[wheel.name] = wheel
    yield from (list(group.values()) for group in groups)


def _build_missing(loaded: LoadedManifest, wheels: list[LockedWheel], target: WheelTarget, store: Store) -> None:
    names = {wheel.environment for wheel in wheels}
    for environment in environments(loaded.manifest):
        for project in environment.projects if environment.name in names else ():
            build_wheel(loaded.folder / project, target=target, store=store)
    if other := [wheel.filename for wheel in wheels if not store.has(wheel.digest)]:
        raise ResolveError(
            "wheel-differs",
            f"building {', '.join(other)} again gave other bytes than the lock names",
            details="The sources are the same, so the build backend is another version or not deterministic.",
            remedy=f"run: sealift lock {loaded.path}",
        )


def _images(loaded: LoadedManifest, lock: Lock, store: Store, sink: Sink) -> None:
    locked = {image.name: image for image in lock.images}
    for image in loaded.manifest.images:
        claim = locked[image.name]
        if image.path is not None and digest_file(loaded.folder / image.path) != claim.digest:
            raise InputError(
                "lock-stale",
                f"the image {image.path} changed after the lock was made",
                remedy=f"run: sealift lock {loaded.path}",
            )
        if image.url is not None and image.embed:
            wanted = Download((image.url,), claim.digest, claim.size)
            Fetcher(store, sink).fetch([wanted], stage=f"image {image.name}", text=f"fetch image {image.name}")
            check_fetched(store.path(claim.digest), claim)
