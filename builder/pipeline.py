"""The two jobs, as prose."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.assemble import Inputs, assemble
from builder.keyring import keyring_of
from builder.lockfile import earlier_lock, lock_path, read_lock, write_lock
from builder.manifest import LoadedManifest, load_manifest
from builder.resolve import resolve
from builder.sources.rpm import Source, explain_rpm
from payload.digest import Digest
from payload.effects import fsync_dir
from payload.errors import InputError
from payload.events import Sink, stage
from payload.lock import Lock
from payload.model import Index
from payload.signing import PrivateKey
from payload.split import split
from payload.store import Store
from payload.trust import PublicKey
from repos.signing import open_rpm_key


@dataclass(frozen=True, slots=True)
class Locked:
    """A written lock."""

    path: Path
    lock: Lock


@dataclass(frozen=True, slots=True)
class Built:
    """A finished bundle."""

    path: Path
    index: Index
    digest: Digest
    signers: tuple[PublicKey, ...]
    parts: tuple[Path, ...]
    """Of a split bundle: the files that belong to `path`."""


def lock(manifest: Path, *, store: Store, sink: Sink) -> Locked:
    """Resolve the manifest and write its lock beside it. An error leaves the old lock.

    Raises:
        InputError, ResolveError, TrustError, IntegrityError: see `load_manifest` and `resolve`.
    """
    loaded = load_manifest(manifest)
    path = lock_path(loaded.path)
    made = resolve(loaded, store, sink, previous=earlier_lock(path))
    write_lock(path, made.lock, made.documents)
    return Locked(path, made.lock)


def explain(manifest: Path, package: str, *, store: Store, sink: Sink) -> tuple[str, ...]:
    """Why an RPM is in: from what the manifest wants down to it, a line for each step. Nothing is written.

    Raises:
        UsageError: it is not in.
        InputError, ResolveError, TrustError, IntegrityError: see `load_manifest` and `resolve`.
    """
    loaded = load_manifest(manifest)
    source = Source(loaded.manifest.repository, loaded.folder, store, sink)
    return explain_rpm(source, loaded.manifest.targets, package)


def build(
    manifest: Path,
    *,
    out: Path | None,
    signers: Sequence[PrivateKey],
    rpm_key: Path,
    store: Store,
    sink: Sink,
    volume_size: int | None = None,
    bases: Sequence[Path] = (),
    plan: Path | None = None,
) -> Built:
    """Build the bundle of a locked manifest, at `out` or at `dist/NAME-installer-VERSION.bin`.

    With `bases`, older bundles, it holds only what hosts with any one of these lack; with `plan`, a site plan,
    what that one host lacks, and `bases` is the one release that it has, or nothing.
    Without `signers` it has no signature yet: see `builder.seal`.
    `rpm_key` is the file of the secret key that signs the metadata of its packages. With `volume_size` (bytes) the
    members go into parts of at most that size beside it.
    The file gets its name only after it was read back and found to be what was meant.

    Raises:
        UsageError, InputError, ResolveError, TrustError, IntegrityError: the message says what; no file was made or
            changed.
    """
    loaded = load_manifest(manifest)
    target = (out or default_output(loaded, upgrade=bool(bases) or plan is not None)).absolute()
    inputs = Inputs(
        loaded,
        read_lock(loaded),
        release_time(loaded),
        keyring_of(loaded, signers),
        open_rpm_key(rpm_key),
        target.name,
        bases,
        plan,
    )
    with _unnamed(target) as file:
        bundle = assemble(file, inputs, signers=signers, store=store, sink=sink)
        files: tuple[Path, ...] = (target,)
        if volume_size is None:
            file.rename(target)
            fsync_dir(target.parent)
        else:
            with stage(sink, "split", "split into volumes"):
                files = split(file, target, volume_size)
    return Built(target, bundle.index, bundle.digest, bundle.signers, files[1:])


def default_output(loaded: LoadedManifest, *, upgrade: bool = False) -> Path:
    """`dist/NAME-installer-VERSION.bin` in the current folder, or `NAME-upgrade-VERSION.bin`."""
    product = loaded.manifest.product
    return Path("dist", f"{product.name}-{'upgrade' if upgrade else 'installer'}-{product.version}.bin")


def release_time(loaded: LoadedManifest) -> int:
    """When the release was made: $SOURCE_DATE_EPOCH, or the manifest's time. An input, so that builds can be repeated.

    Raises:
        InputError: $SOURCE_DATE_EPOCH is no number of seconds.
    """
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given is None:
        return int(loaded.path.stat().st_mtime)
    if not given.isdecimal():
        raise InputError(
            "epoch-invalid",
            f"SOURCE_DATE_EPOCH is {given!r}",
            remedy="give whole seconds since 1970, such as the output of: git log -1 --format=%ct",
        )
    return int(given)


@contextmanager
def _unnamed(target: Path) -> Iterator[Path]:
    """Where the bundle is written before it is checked: beside its name. Gone afterwards unless renamed."""
    target.parent.mkdir(parents=True, exist_ok=True)
    file = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        yield file
    finally:
        file.unlink(missing_ok=True)
