"""RPMs: the closure of the wanted packages for every target, and bringing it into the store, signatures checked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from builder.memo import mark_checked, was_checked
from payload.digest import digest_file
from payload.events import Note, Sink, stage
from payload.model import LockedRpm, Manifest, Upstream
from payload.store import Store
from repos.closure import ResolvedPackage, resolve_closure
from repos.metadata import load_metadata
from repos.nevra import Nevra
from repos.signatures import verify_packages
from repos.sync import Download, Fetcher, join_url


def lock_rpms(manifest: Manifest, *, folder: Path, store: Store, sink: Sink) -> tuple[LockedRpm, ...]:
    """What the targets need beyond their baselines, sorted by name and version.

    Raises:
        ResolveError: an upstream cannot be read, or a requirement cannot be met; names who requires what.
        TrustError: an upstream's metadata is not signed as the manifest says.
    """
    wanted = manifest.repository.packages
    if not wanted:
        return ()
    fetcher = Fetcher(store, sink)
    upstreams = [
        load_metadata(_located(upstream, folder), _keys(upstream, folder), fetcher)
        for upstream in manifest.repository.upstreams
    ]
    with stage(sink, "closure", f"resolve {len(wanted)} packages"):
        targets = sorted({(target.baseline or "", target.arch) for target in manifest.targets})
        found = [
            resolve_closure(wanted, upstreams, baseline=_baseline(name, folder), arch=arch) for name, arch in targets
        ]
    for (name, _), answer in zip(targets, found, strict=True):
        if answer.unknown:
            few = ", ".join(str(nevra) for nevra in answer.unknown[:5])
            sink.emit(Note(f"{name}: no upstream has {len(answer.unknown)} of its packages, such as {few}", "warning"))
    locked = {str(package.nevra): _locked(package) for answer in found for package in answer.packages}
    return tuple(locked[nevra] for nevra in sorted(locked))


def _locked(package: ResolvedPackage) -> LockedRpm:
    return LockedRpm(
        name=package.nevra.name,
        epoch=package.nevra.epoch,
        version=package.nevra.version,
        release=package.nevra.release,
        arch=package.nevra.arch,
        upstream=package.upstream,
        location=package.location,
        digest=package.digest,
        size=package.size,
        requested=package.requested,
    )


def _baseline(name: str, folder: Path) -> tuple[Nevra, ...]:
    if not name:
        return ()
    lines = (folder / name).read_text(encoding="utf-8").splitlines()
    return tuple(Nevra.parse(line.strip()) for line in lines if line.strip() and not line.startswith("#"))


def fetch_rpms(
    rpms: Sequence[LockedRpm], upstreams: Iterable[Upstream], *, folder: Path, store: Store, sink: Sink
) -> None:
    """Have `rpms` in the store, every signature checked against the keys of its upstream.

    Raises:
        ResolveError, IntegrityError: one cannot be had as it was locked.
        TrustError: one is not signed by a key of its upstream.
    """
    urls = {upstream.id: _located(upstream, folder).url for upstream in upstreams}
    downloads = [Download((join_url(urls[rpm.upstream], rpm.location),), rpm.digest, rpm.size) for rpm in rpms]
    Fetcher(store, sink).fetch(downloads, stage="rpms", text="fetch packages")
    for upstream in upstreams:
        own = [rpm for rpm in rpms if rpm.upstream == upstream.id]
        keys = _keys(upstream, folder)
        inputs = "\n".join(["signatures 1", *map(digest_file, keys), "", *sorted(rpm.digest for rpm in own)]).encode()
        if own and not was_checked(store, inputs):
            with stage(sink, "signatures", f"check the signatures of {len(own)} packages of {upstream.id}"):
                verify_packages([store.path(rpm.digest) for rpm in own], keys)
            mark_checked(store, inputs)


def _located(upstream: Upstream, folder: Path) -> Upstream:
    """`upstream` with a path made a URL."""
    if not upstream.url.startswith("."):
        return upstream
    return upstream.model_copy(update={"url": (folder / upstream.url).resolve().as_uri()})


def _keys(upstream: Upstream, folder: Path) -> list[Path]:
    return [folder / name for name in upstream.gpg_keys]
