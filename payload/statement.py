"""What is signed: a few lines that say which bundle it is, small enough to be carried to the machine with the key.

The statement follows from the index, so that whoever verifies a bundle makes it anew and needs no copy of it. Who signs
sees in it what the signature will vouch for.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from payload.digest import DIGEST, Digest, digest_bytes
from payload.model import FORMAT_VERSION, Index
from payload.names import NAME
from payload.strict import document, record, whole
from payload.trust import Keyring, read_keyring
from payload.version import Version, parse_version


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One bundle. `index` is the digest of the stored index, through which everything else in the file is covered."""

    format: int = FORMAT_VERSION
    product: str
    version: Version
    created: int
    index: Digest
    manifest: Digest
    runtime: Digest
    keyring: Keyring
    packages: int
    wheels: int
    images: int
    size: int
    """Bytes of all members' contents."""

    def message(self) -> bytes:
        """The bytes that are signed: canonical JSON."""
        return json.dumps(
            document(self, defaults=True), sort_keys=True, separators=(",", ":"), ensure_ascii=False
        ).encode()


read_statement = record(
    Statement,
    format=whole(FORMAT_VERSION, FORMAT_VERSION),
    product=NAME,
    version=parse_version,
    created=whole(),
    index=DIGEST,
    manifest=DIGEST,
    runtime=DIGEST,
    keyring=read_keyring,
    packages=whole(),
    wheels=whole(),
    images=whole(),
    size=whole(),
)


def statement_of(index: Index, stored: bytes) -> Statement:
    """The statement of the bundle whose index is `index`, `stored` as these bytes."""
    product, locked = index.product, index.locked
    return Statement(
        product=product.name,
        version=product.version,
        created=index.created,
        index=digest_bytes(stored),
        manifest=locked.manifest,
        runtime=index.runtime.digest,
        keyring=index.keyring,
        packages=len(locked.rpms),
        wheels=len(locked.wheels),
        images=len(locked.images),
        size=sum(blob.size for blob in index.blobs),
    )
