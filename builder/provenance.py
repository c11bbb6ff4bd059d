"""The provenance: which builder made a release of what, as an in-toto Statement v1 with SLSA's provenance v1.

It is a file of the release, so it cannot name the bundle's own digest. Its subject is the release's folder without
this file, by in-toto's `dirHash`, and the frozen runtime. It holds no time but the release's own, and nothing of the
machine: the same inputs give the same bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from builder import __version__
from builder.lockfile import lock_text
from builder.purl import image_purl, rpm_purl, wheel_purl
from builder.stage import Staged
from payload.digest import Digest, digest_bytes, digest_file, hex_of
from payload.lock import Lock
from payload.manifest import Manifest
from payload.model import PROVENANCE_PATH, SBOM_PATH
from payload.store import Store

STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:sealift:build:v1"
"""Its parameters are described in docs/trust.md."""
BUILDER = "urn:sealift:builder"


def with_provenance(
    tree: Iterable[Staged], manifest: Manifest, lock: Lock, store: Store, *, runtime: Digest, created: int
) -> tuple[Staged, ...]:
    """The release tree with the statement about it, sorted by path; `runtime` is the frozen runtime.

    Raises:
        OSError: a file of the tree cannot be read.
    """
    files = tuple(tree)
    digests = dict(_digests(files, lock, store))
    statement = {
        "_type": STATEMENT_TYPE,
        "subject": [
            {"name": f"{manifest.product.name}-{manifest.product.version}", "digest": {"dirHash": dir_hash(digests)}},
            {"name": "runtime", "digest": {"sha256": hex_of(runtime)}},
        ],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "buildDefinition": {
                "buildType": BUILD_TYPE,
                "externalParameters": _parameters(manifest, lock, created),
                "internalParameters": {},
                "resolvedDependencies": [*_materials(manifest, lock)],
            },
            "runDetails": {
                "builder": {"id": BUILDER, "version": {"sealift": __version__}},
                "byproducts": [{"name": SBOM_PATH, "digest": {"sha256": hex_of(digests[SBOM_PATH])}}],
            },
        },
    }
    text = json.dumps(statement, indent=1) + "\n"
    return tuple(sorted((*files, Staged(text.encode(), PROVENANCE_PATH, "provenance")), key=lambda staged: staged.path))


def dir_hash(digests: dict[str, Digest]) -> str:
    """in-toto's `dirHash` of files by path: the digest of what `sha256sum` says of them, sorted by path."""
    rows = (f"{hex_of(digests[path])}  {path}\n" for path in sorted(digests, key=str.encode))
    return hex_of(digest_bytes("".join(rows).encode()))


def _digests(tree: Iterable[Staged], lock: Lock, store: Store) -> Iterator[tuple[str, Digest]]:
    """What the store vouches for is not read again."""
    named = {rpm.digest for rpm in lock.rpms} | {wheel.digest for wheel in (*lock.wheels, lock.pip)}
    named |= {image.digest for image in lock.images} | ({lock.python.digest} if lock.python else set())
    known = {store.path(digest): digest for digest in named}
    for staged in tree:
        if isinstance(staged.source, bytes):
            yield staged.path, digest_bytes(staged.source)
        else:
            yield staged.path, known.get(staged.source) or digest_file(staged.source)


def _parameters(manifest: Manifest, lock: Lock, created: int) -> dict[str, Any]:
    return {
        "product": manifest.product.name,
        "version": str(manifest.product.version),
        "manifest": {"digest": {"sha256": hex_of(lock.manifest)}},
        "lock": {"digest": {"sha256": hex_of(digest_bytes(lock_text(lock).encode()))}},
        "sourceDateEpoch": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }


def _materials(manifest: Manifest, lock: Lock) -> Iterator[dict[str, Any]]:
    """Every artifact of the lock once, and the sources of wheels that were built from a path."""
    for rpm in lock.rpms:
        yield _material(rpm.filename, rpm.digest, rpm_purl(rpm).to_string())
    for digest, wheel in {wheel.digest: wheel for wheel in (*lock.wheels, lock.pip)}.items():
        yield _material(wheel.filename, digest, wheel_purl(wheel).to_string())
    for name, digest in sorted({(each.name, each.sources) for each in lock.wheels if each.sources}):
        yield {"name": f"{name} (sources)", "digest": {"sealiftTree": hex_of(digest)}}
    images = {image.name: image for image in manifest.images}
    for image in lock.images:
        yield _material(image.name, image.digest, image_purl(image, images[image.name]).to_string())
    for document in lock.documents:
        yield _material(f"{document.kind} of the repository", document.digest)
    if lock.python is not None:
        yield _material("python", lock.python.digest, f"pkg:generic/cpython@{lock.python.version}")


def _material(name: str, digest: Digest, uri: str | None = None) -> dict[str, Any]:
    return {"name": name, **({"uri": uri} if uri else {}), "digest": {"sha256": hex_of(digest)}}
