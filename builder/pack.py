"""Release tree → bundle file, and the check that the file is what was meant."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from builder.delta import Reduced
from builder.freeze import RuntimeNeeds, measure
from builder.libc import minor
from builder.stage import Staged
from payload.archive import VerifiedBundle, open_bundle
from payload.digest import hex_of
from payload.errors import IntegrityError
from payload.events import Advanced, Sink, stage
from payload.format import STUB_SIZE
from payload.lock import Lock
from payload.manifest import Manifest
from payload.model import Section
from payload.signing import PrivateKey
from payload.trust import Keyring
from payload.writer import BundleWriter
from templates.contexts import StubContext
from templates.render_stub import render_stub


@dataclass(frozen=True, slots=True)
class Content:
    """All that goes into a bundle."""

    tree: tuple[Staged, ...]
    runtime: Path
    manifest: Manifest
    lock: Lock
    created: int
    keyring: Keyring
    reduced: Reduced = field(default_factory=Reduced)


def pack(path: Path, content: Content, *, signers: Sequence[PrivateKey], file_name: str, sink: Sink) -> None:
    """Write the bundle at `path` and sign it, if anybody does. Left early, nothing stays.

    `file_name` is the name that it will have.

    Raises:
        OSError: the disk is full, …
    """
    runtime, tree = content.runtime, content.tree
    needs = measure(runtime)

    def stub(section: Section) -> bytes:
        return _stub(content.manifest, section, file_name, needs)

    total = runtime.stat().st_size + sum(_size(staged) for staged in tree)
    with (
        stage(sink, "pack", f"pack {len(tree)} files", total=total),
        BundleWriter(path, stub=stub, runtime=runtime) as writer,
    ):
        sink.emit(Advanced("pack", runtime.stat().st_size))
        add_tree(writer, tree, content.reduced, sink)
        writer.finish(
            manifest=content.manifest,
            lock=content.lock,
            created=content.created,
            libc=needs.libc,
            keyring=content.keyring,
            signers=signers,
            help=needs.help,
            bases=content.reduced.bases,
        )


def add_tree(writer: BundleWriter, tree: Iterable[Staged], reduced: Reduced, sink: Sink) -> None:
    """Add the files of a release to a bundle, each as `reduced` has it: inside, as a patch, or left to the host."""
    for patch in reduced.patches:
        writer.add_patch(patch)
    for staged in tree:
        if borrowed := reduced.borrowed.get(staged.path):
            writer.borrow(borrowed, path=staged.path, component=staged.component, mode=staged.mode)
        else:
            writer.add(staged.source, path=staged.path, component=staged.component, mode=staged.mode)
        sink.emit(Advanced("pack", _size(staged)))


def check(path: Path, content: Content, *, signed: bool, sink: Sink) -> VerifiedBundle:
    """Read the bundle back as a host will: signatures, every member, every file of the tree, every locked artifact.

    Raises:
        TrustError, IntegrityError: it is not what was meant.
    """
    with stage(sink, "check", "read the result back", total=path.stat().st_size):
        unverified = open_bundle(path)
        bundle = unverified.verify(content.keyring) if signed else unverified.known(unverified.digest)
        damages = bundle.check(sink, stage="check")
        if damages:
            raise IntegrityError(
                "bundle-damaged",
                "the bundle came out damaged; its disk is not sound",
                details="\n".join(map(str, damages)),
            )
        _compare(bundle, content)
    return bundle


def _compare(bundle: VerifiedBundle, content: Content) -> None:
    lock, index = content.lock, bundle.index
    embedded = {image.name for image in content.manifest.images if image.embed}
    images = (image for image in lock.images if image.name in embedded)
    wanted = {rpm.digest for rpm in lock.rpms} | {wheel.digest for wheel in (*lock.wheels, lock.pip)}
    wanted |= {image.digest for image in images}
    missing = wanted - index.content_sizes.keys()
    if missing or {entry.path for entry in index.entries} != {staged.path for staged in content.tree}:
        raise IntegrityError(
            "bundle-incomplete",
            "the bundle is not what its lock says: a file changed while it was packed",
            details="\n".join(sorted(missing)),
            remedy="build again when nothing writes to the sources and the store",
        )


def _size(staged: Staged) -> int:
    return len(staged.source) if isinstance(staged.source, bytes) else staged.source.stat().st_size


def _stub(manifest: Manifest, runtime: Section, file_name: str, needs: RuntimeNeeds) -> bytes:
    product = manifest.product
    context = StubContext(
        product=product.name,
        title=product.title,
        version=str(product.version),
        file_name=file_name,
        arch=manifest.targets[0].arch,
        runtime_offset=runtime.offset,
        runtime_size=runtime.size,
        runtime_sha256=hex_of(runtime.digest),
        unpacked_kb=-(-needs.space // 1024),
        libc_minor=minor(needs.libc),
    )
    return render_stub(context, STUB_SIZE)
