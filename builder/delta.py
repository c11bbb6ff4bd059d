"""Upgrade bundles: which files of a release need not be in the file, because a host that has a base can make them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import zstandard

from builder.stage import Staged
from payload.archive import VerifiedBundle, open_bundle
from payload.digest import CHUNK, Digest, digest_bytes, digest_file
from payload.errors import InputError
from payload.events import Advanced, NullSink, Sink, stage
from payload.manifest import Manifest
from payload.model import Base, Borrowed, Entry, Source
from payload.patch import make_patch
from payload.siteplan import SitePlan
from repos.offline import PACKAGES_FOLDER

_ALWAYS_INSIDE = ("templates", "lock", "sbom", "provenance", "repository")
"""Components that are read before anything is staged, or shown from the file; of the repository not the packages."""
_WORTH_IT = 0.8
"""A patch that is not smaller than this part of the content, compressed, is not used."""


@dataclass(frozen=True, slots=True)
class OneHost:
    """The host that a bundle is for: its plan, and the headers of the lock's packages that it has installed."""

    plan: SitePlan
    installed: Mapping[Digest, str]


@dataclass(frozen=True, slots=True)
class Old:
    """What hosts with a base have: paths by digest; and `entries`, unpacked in `folder`, that patches are made from."""

    base: Base
    paths: Mapping[Digest, str]
    entries: tuple[Entry, ...]
    folder: Path


@dataclass(frozen=True, slots=True)
class Reduced:
    """How the files of an upgrade bundle are stored: those without a row in `borrowed` are inside."""

    bases: tuple[Base, ...] = ()
    borrowed: dict[str, Borrowed] = field(default_factory=dict)
    """By the file's path in the release."""
    patches: tuple[Path, ...] = ()


def open_bases(paths: Sequence[Path], manifest: Manifest) -> tuple[VerifiedBundle, ...]:
    """The bundles that an upgrade bundle is to build on.

    Raises:
        InputError: one is of another product, out of the manifest's upgrade range, or itself an upgrade bundle.
        UsageError, IntegrityError: one cannot be read.
    """
    return tuple(_open(path, manifest) for path in paths)


def _open(path: Path, manifest: Manifest) -> VerifiedBundle:
    unverified = open_bundle(path)
    bundle = unverified.known(unverified.digest)
    old, product = bundle.index.manifest.product, manifest.product
    reach = product.upgrades_from
    wrong = None
    if old.name != product.name:
        wrong = f"it is {old.name}, not {product.name}"
    elif reach is None or not reach.contains(old.version, prereleases=True):
        wrong = f"it is {old.version}; the manifest upgrades from {reach or 'no release'}"
    elif bundle.index.bases:
        wrong = "it is an upgrade bundle itself: give the full one of that version"
    if wrong:
        raise InputError("base-unfit", f"{path} cannot be a base", details=wrong, remedy="name another by --base")
    return bundle


def check_one_host(plan: SitePlan, bundles: Sequence[VerifiedBundle]) -> None:
    """See that the bases beside a site plan are the one release that its host has, or none.

    Raises:
        InputError: they are not.
    """
    if others := [bundle for bundle in bundles if bundle.release != plan.release] or bundles[1:]:
        raise InputError(
            "base-unfit",
            f"{others[0].path} cannot be a base: its release is not the one of the plan",
            details=f"plan  {plan.version} ({plan.release})\nbase  {others[0].release}",
            remedy="give the full bundle of the release that the host has installed, or none",
        )


def reduce(
    tree: Sequence[Staged],
    bundles: Sequence[VerifiedBundle],
    *,
    host: OneHost | None = None,
    scratch: Path,
    sink: Sink,
) -> Reduced:
    """Decide for each file whether it is inside, or made from every one of the bases, or left to the one host that the
    bundle is for. `scratch` is an empty folder.

    Raises:
        IntegrityError: a base is damaged.
    """
    olds = [_unpack(bundle, scratch / str(number)) for number, bundle in enumerate(bundles)]
    if host is not None:
        olds = [_of_plan(host.plan, olds, scratch)]
    if not olds:
        return Reduced()
    folder = scratch / "patches"
    folder.mkdir()
    inside = [staged for staged in tree if not _may_leave(staged)]
    others = [staged for staged in tree if _may_leave(staged)]
    decided: dict[Digest, Borrowed | None] = dict.fromkeys(map(_digest, inside))
    borrowed: dict[str, Borrowed] = {}
    patches: dict[Digest, Path] = {}
    with stage(sink, "delta", "compare with the bases", total=sum(map(_size, others))):
        for staged in others:
            if (digest := _digest(staged)) not in decided:  # identical files are all inside, or none
                decided[digest], made = _borrow(staged, digest, olds, folder)
                patches |= made
            header = host.installed.get(digest) if host else None
            if found := decided[digest]:
                borrowed[staged.path] = found
            elif header is not None:
                borrowed[staged.path] = Borrowed(digest=digest, size=_size(staged), header=header)
            sink.emit(Advanced("delta", _size(staged)))
    return Reduced(tuple(old.base for old in olds), borrowed, tuple(patches.values()))


def _may_leave(staged: Staged) -> bool:
    return staged.component not in _ALWAYS_INSIDE or _is_package(staged.path)


def _is_package(path: str) -> bool:
    return path.startswith(f"{PACKAGES_FOLDER}/")


def _unpack(bundle: VerifiedBundle, folder: Path) -> Old:
    """Packages are in an installed release where they are needed; in every one only if it serves them to others."""
    serves = bundle.index.manifest.repository.serve is not None
    entries = tuple(entry for entry in bundle.index.entries if entry.component != "repository")
    packages = (entry for entry in bundle.index.entries if serves and _is_package(entry.path))
    unpacked = {entry.path for entry in entries}
    folder.mkdir()
    bundle.extract(folder, select=lambda entry: entry.path in unpacked, sink=NullSink(), stage="delta")
    base = Base(version=bundle.index.manifest.product.version, release=bundle.release)
    return Old(base, _first({entry.path: entry.blob for entry in (*entries, *packages)}), entries, folder)


def _of_plan(plan: SitePlan, bundles: Sequence[Old], folder: Path) -> Old:
    """What the host says that it has. A file that was altered there is nothing to make a patch from."""
    held = {file.path: file.digest for file in plan.files}
    entries = tuple(entry for old in bundles for entry in old.entries if held.get(entry.path) == entry.blob)
    return Old(
        Base(version=plan.version, release=plan.release),
        _first(held),
        entries,
        bundles[0].folder if bundles else folder,
    )


def _first(digests: Mapping[str, Digest]) -> dict[Digest, str]:
    """The first path with each digest."""
    paths: dict[Digest, str] = {}
    for path, digest in sorted(digests.items()):
        paths.setdefault(digest, path)
    return paths


def _borrow(
    staged: Staged, digest: Digest, olds: Sequence[Old], folder: Path
) -> tuple[Borrowed | None, dict[Digest, Path]]:
    """The file as every base gives it, and the patches for that; None when it is better inside."""
    sources, patches, budget = [], dict[Digest, Path](), -1.0
    for old in olds:
        if (same := old.paths.get(digest)) is not None:
            sources.append(Source(path=same))
            continue
        if (partner := _partner(staged, old.entries)) is None:
            return None, {}
        if budget < 0:
            budget = _WORTH_IT * _compressed(staged)
        patch = _patch(staged, old.folder / partner.path, folder)
        budget -= patch.stat().st_size
        if budget < 0:
            return None, {}
        name = digest_file(patch)
        patches[name] = patch
        sources.append(Source(path=partner.path, patch=name))
    return Borrowed(digest=digest, size=_size(staged), sources=tuple(sources)), patches


def _partner(staged: Staged, entries: Sequence[Entry]) -> Entry | None:
    """The file of a base that this one most likely came from: of the same path, or the same but for a version."""
    mine = [entry for entry in entries if entry.component == staged.component]
    same = next((entry for entry in mine if entry.path == staged.path), None)
    return same or next((entry for entry in mine if _stem(entry.path) == _stem(staged.path)), None)


def _stem(path: str) -> tuple[str, str, str]:
    pure = PurePosixPath(path)
    return str(pure.parent), re.split(r"-\d", pure.name, maxsplit=1)[0], pure.suffix


def _patch(staged: Staged, old: Path, folder: Path) -> Path:
    number = sum(1 for _ in folder.iterdir())
    new, target = folder / "new", folder / f"{number}.patch"
    if isinstance(staged.source, bytes):
        new.write_bytes(staged.source)
        make_patch(old, new, target)
        new.unlink()
    else:
        make_patch(old, staged.source, target)
    return target


def _compressed(staged: Staged) -> int:
    """How much the file takes inside, about."""
    packer = zstandard.ZstdCompressor(level=3).compressobj()
    return sum(len(packer.compress(chunk)) for chunk in _content(staged)) + len(packer.flush())


def _content(staged: Staged) -> Iterator[bytes]:
    if isinstance(staged.source, bytes):
        yield staged.source
        return
    with staged.source.open("rb") as stream:
        while chunk := stream.read(CHUNK):
            yield chunk


def _digest(staged: Staged) -> Digest:
    return digest_bytes(staged.source) if isinstance(staged.source, bytes) else digest_file(staged.source)


def _size(staged: Staged) -> int:
    return len(staged.source) if isinstance(staged.source, bytes) else staged.source.stat().st_size
