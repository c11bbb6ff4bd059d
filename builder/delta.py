"""Upgrade bundles: which files of a release need not be in the file, because a host that has a base can make them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
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

_ALWAYS_INSIDE = ("templates", "lock", "sbom", "provenance", "repository")
"""Components that are read before anything is staged, or shown from the file, or installed out of it."""
_WORTH_IT = 0.8
"""A patch that is not smaller than this part of the content, compressed, is not used."""


@dataclass(frozen=True, slots=True)
class OldBundle:
    """A base, unpacked where patches are made."""

    base: Base
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


def reduce(tree: Sequence[Staged], bundles: Sequence[VerifiedBundle], *, scratch: Path, sink: Sink) -> Reduced:
    """Decide for each file whether it is inside, or made from every one of the bases. `scratch` is an empty folder.

    Raises:
        IntegrityError: a base is damaged.
    """
    if not bundles:
        return Reduced()
    olds = [_unpack(bundle, scratch / str(number)) for number, bundle in enumerate(bundles)]
    folder = scratch / "patches"
    folder.mkdir()
    inside = [staged for staged in tree if staged.component in _ALWAYS_INSIDE]
    others = [staged for staged in tree if staged.component not in _ALWAYS_INSIDE]
    decided: dict[Digest, Borrowed | None] = dict.fromkeys(map(_digest, inside))
    borrowed: dict[str, Borrowed] = {}
    patches: dict[Digest, Path] = {}
    with stage(sink, "delta", "compare with the bases", total=sum(map(_size, others))):
        for staged in others:
            if (digest := _digest(staged)) not in decided:  # identical files are all inside, or none
                decided[digest], made = _borrow(staged, digest, olds, folder)
                patches |= made
            if found := decided[digest]:
                borrowed[staged.path] = found
            sink.emit(Advanced("delta", _size(staged)))
    return Reduced(tuple(old.base for old in olds), borrowed, tuple(patches.values()))


def _unpack(bundle: VerifiedBundle, folder: Path) -> OldBundle:
    folder.mkdir()
    bundle.extract(folder, select=_stays, sink=NullSink(), stage="delta")
    base = Base(version=bundle.index.manifest.product.version, release=bundle.release)
    return OldBundle(base, tuple(filter(_stays, bundle.index.entries)), folder)


def _stays(entry: Entry) -> bool:
    """Whether the file is in every installed release: packages only are where they are needed."""
    return entry.component != "repository"


def _borrow(
    staged: Staged, digest: Digest, olds: Sequence[OldBundle], folder: Path
) -> tuple[Borrowed | None, dict[Digest, Path]]:
    """The file as every base gives it, and the patches for that; None when it is better inside."""
    sources, patches, budget = [], dict[Digest, Path](), -1.0
    for old in olds:
        if same := next((entry for entry in old.entries if entry.blob == digest), None):
            sources.append(Source(path=same.path))
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
