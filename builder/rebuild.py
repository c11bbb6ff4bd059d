"""Proving that a bundle is what its inputs give: it is built again with the lock that is inside, and compared.

No secret is needed: the signature of the packages' metadata is taken over and held against the key beside it, and the
bundle's own signatures are made over the index, which has to come out the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from builder.assemble import Inputs, assemble, scratch_in
from builder.manifest import load_manifest
from payload.archive import UnverifiedBundle, VerifiedBundle, damaged, open_bundle
from payload.errors import InputError, IntegrityError
from payload.events import Sink, stage
from payload.model import PROVENANCE_PATH, SBOM_PATH, Entry, Index
from payload.store import Store
from repos.offline import REPOSITORY_FOLDER, rpm_key_name
from repos.signatures import verify_metadata
from repos.signing import SIGNATURE_SUFFIX

_REPOMD = f"{REPOSITORY_FOLDER}/repodata/repomd.xml"
_FOLLOWING = (PROVENANCE_PATH, SBOM_PATH)
"""Files that differ because another one does."""
_FIELDS = ("created", "manifest", "lock", "keyring", "bases", "runtime", "libc", "help")


@dataclass(frozen=True, slots=True)
class KeptSignature:
    """In place of the secret RPM key: the signature that was made with it."""

    public: str
    signature: bytes

    def sign(self, document: Path) -> Path:
        """See `repos.signing.MetadataKey`. That it fits `document` is seen when the documents are compared."""
        path = document.with_name(document.name + SIGNATURE_SUFFIX)
        path.write_bytes(self.signature)
        return path


def verify_rebuild(
    path: Path, manifest: Path, *, bases: Sequence[Path], plan: Path | None = None, store: Store, sink: Sink
) -> VerifiedBundle:
    """Build the bundle at `path` again from `manifest`, and return it if that gives the same bytes.

    `bases`: the bundles that an upgrade bundle was made with, in the same order; `plan`: its site plan.

    Raises:
        InputError: the bundle was made from another manifest.
        IntegrityError: it is damaged, or differs; names the first thing that does.
        TrustError: a signature in it does not hold.
    """
    given = open_bundle(path)
    original = given.verify(given.claimed.keyring) if given.signatures else given.known(given.digest)
    with stage(sink, "check", f"read {path.name}", total=original.size):
        if damages := original.check(sink):
            raise damaged(path.name, damages)
    loaded = load_manifest(manifest)
    index = original.index
    if index.lock.manifest != loaded.digest:
        raise InputError(
            "manifest-other",
            f"{path.name} was made from another manifest than {manifest}",
            details=f"here    {loaded.digest}\nlocked  {index.lock.manifest}",
            remedy="check out the sources of that release",
        )
    with scratch_in(store) as scratch:
        key = _kept_signature(original, scratch)
        inputs = Inputs(loaded, index.lock, index.created, index.keyring, nullcontext(key), path.name, bases, plan)
        rebuilt = scratch / "rebuilt"
        assemble(rebuilt, inputs, signers=(), store=store, sink=sink)
        _compare(given, open_bundle(rebuilt))
    return original


def _kept_signature(bundle: VerifiedBundle, scratch: Path) -> KeptSignature:
    if not bundle.index.lock.rpms:
        return KeptSignature("", b"")
    name = rpm_key_name(bundle.index.manifest.product.name)
    public = bundle.read(f"{REPOSITORY_FOLDER}/{name}")
    signature = bundle.read(_REPOMD + SIGNATURE_SUFFIX)
    (file := scratch / name).write_bytes(public)
    verify_metadata(bundle.read(_REPOMD), signature, [file], where=f"{_REPOMD} in {bundle.path.name}")
    return KeptSignature(public.decode(), signature)


def _compare(given: UnverifiedBundle, rebuilt: UnverifiedBundle) -> None:
    if given.digest == rebuilt.digest:
        return
    found = [*differences(given.claimed, rebuilt.claimed)]
    first = found[0] if found else "stub or layout: its file name is part of it, or another Sealift made the bundle"
    raise IntegrityError(
        "rebuild-differs",
        f"{given.path.name} is not what its inputs give here; the first difference is {first.partition(':')[0]}",
        details="\n".join(found[:20] or [first]),
        remedy="build with the sources, the Sealift and the Python that the bundle was made with",
    )


def differences(given: Index, rebuilt: Index) -> Iterator[str]:
    """What is not the same, most telling first: parts of the index, then files by path."""
    for field in _FIELDS:
        if getattr(given, field) != getattr(rebuilt, field):
            yield f"{field}: {_short(getattr(given, field))} in the bundle, {_short(getattr(rebuilt, field))} here"
    old, new = ({entry.path: entry for entry in index.entries} for index in (given, rebuilt))
    for path in sorted(old.keys() | new.keys(), key=lambda path: (path in _FOLLOWING, path)):
        if old.get(path) != new.get(path):
            yield f"{path}: {_said(old.get(path))} in the bundle, {_said(new.get(path))} here"


def _said(entry: Entry | None) -> str:
    return "not there" if entry is None else f"{entry.blob} {entry.mode:04o} of {entry.component}"


def _short(value: object) -> str:
    text = str(value)
    return text if len(text) <= 100 else f"{text[:97]}..."
