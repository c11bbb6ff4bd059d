"""What is signed: a few lines that say which bundle it is, small enough to be carried to the machine with the key.

The statement follows from the index, so that whoever verifies a bundle makes it anew and needs no copy of it. Who signs
sees in it what the signature will vouch for.
"""

from __future__ import annotations

import json

from payload.digest import Digest, digest_bytes
from payload.document import Document
from payload.fields import Name
from payload.model import Index
from payload.trust import Keyring
from payload.version import Version


class Statement(Document):
    """One bundle. `index` is the digest of the stored index, through which everything else in the file is covered."""

    format: int = 1
    product: Name
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
        body = self.model_dump(mode="json", by_alias=True)
        return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def statement_of(index: Index, stored: bytes) -> Statement:
    """The statement of the bundle whose index is `index`, `stored` as these bytes."""
    product, lock = index.manifest.product, index.lock
    return Statement(
        product=product.name,
        version=product.version,
        created=index.created,
        index=digest_bytes(stored),
        manifest=lock.manifest,
        runtime=index.runtime.digest,
        keyring=index.keyring,
        packages=len(lock.rpms),
        wheels=len(lock.wheels),
        images=len(lock.images),
        size=sum(blob.size for blob in index.blobs),
    )
