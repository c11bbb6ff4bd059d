"""From inputs to an unnamed file: fetch, freeze, stage, leave out what bases have, pack, read back."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from builder.delta import OneHost, check_one_host, open_bases, reduce
from builder.fetch import fetch
from builder.freeze import freeze
from builder.lockfile import read_documents
from builder.manifest import LoadedManifest
from builder.pack import Content, check, pack
from builder.provenance import with_provenance
from builder.sbom import sbom_text
from builder.siteplan import packages_on_host, read_site_plan
from builder.stage import stage_release
from payload.archive import VerifiedBundle
from payload.digest import Digest, digest_file
from payload.events import Sink, stage
from payload.lock import Lock
from payload.manifest import Manifest
from payload.signing import PrivateKey
from payload.siteplan import SitePlan
from payload.store import Store
from payload.trust import Keyring
from repos.signing import MetadataKey


@dataclass(frozen=True, slots=True)
class Inputs:
    """All that the bytes of a bundle depend on, besides the sources that the lock names and this program."""

    loaded: LoadedManifest
    lock: Lock
    created: int
    keyring: Keyring
    rpm_key: AbstractContextManager[MetadataKey]
    """Signs the metadata of the packages; opened once at most."""
    file_name: str
    bases: Sequence[Path] = ()
    """Older bundles: the file holds only what hosts with any one of these lack."""
    plan: Path | None = None
    """A site plan: the file holds only what that one host lacks."""


def assemble(file: Path, inputs: Inputs, *, signers: Sequence[PrivateKey], store: Store, sink: Sink) -> VerifiedBundle:
    """Make the bundle at `file`, which must not exist, and read it back.

    Raises:
        UsageError, InputError, ResolveError, TrustError, IntegrityError: the message says what.
    """
    loaded, lock, created = inputs.loaded, inputs.lock, inputs.created
    older = open_bases(inputs.bases, loaded.manifest)
    plan = None if inputs.plan is None else read_site_plan(inputs.plan, loaded.manifest)
    if plan is not None:
        check_one_host(plan, older)
    documents = read_documents(loaded.path, lock)
    fetch(loaded, lock, store, sink)
    runtime = freeze(store, sink, lock.python)
    with scratch_in(store) as scratch:
        with stage(sink, "stage", "lay out the release"):
            frozen = digest_file(runtime)
            sbom = sbom_text(loaded.manifest, lock, store, runtime=frozen, created=created)
            tree = with_provenance(
                stage_release(
                    loaded, lock, store, documents=documents, rpm_key=inputs.rpm_key, scratch=scratch, sbom=sbom
                ),
                loaded.manifest,
                lock,
                store,
                runtime=frozen,
                created=created,
            )
        (work := scratch / "bases").mkdir()
        host = None if plan is None else OneHost(plan, _left_to_host(plan, loaded.manifest, lock, store))
        reduced = reduce(tree, older, host=host, scratch=work, sink=sink)
        content = Content(tree, runtime, loaded.manifest, lock, created, inputs.keyring, reduced)
        pack(file, content, signers=signers, file_name=inputs.file_name, sink=sink)
        return check(file, content, signed=bool(signers), sink=sink)


def _left_to_host(plan: SitePlan, manifest: Manifest, lock: Lock, store: Store) -> dict[Digest, str]:
    """Packages that need not be in the file since they are installed. A host that serves them needs them as files."""
    return {} if manifest.repository.serve is not None else packages_on_host(plan, lock.rpms, store)


@contextmanager
def scratch_in(store: Store) -> Iterator[Path]:
    """A folder on the store's file system, so that files can be linked from it."""
    store.root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".stage-", dir=store.root) as name:
        yield Path(name)
