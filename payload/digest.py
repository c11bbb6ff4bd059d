"""SHA-256 digests: their text form, and computing them while bytes go by."""

from __future__ import annotations

import hashlib
from io import BufferedReader
from pathlib import Path
from typing import Annotated

from payload.strict import Shape

DIGEST = Shape(r"^sha256:[0-9a-f]{64}$")
Digest = Annotated[str, DIGEST]
"""`sha256:` and 64 lower-case hex digits."""

CHUNK = 1 << 20


def digest_bytes(content: bytes) -> Digest:
    """The digest of `content`."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def digest_stream(stream: BufferedReader) -> Digest:
    """The digest of what is left in `stream`."""
    return f"sha256:{hashlib.file_digest(stream, 'sha256').hexdigest()}"


def digest_file(path: Path) -> Digest:
    """The digest of a file's content."""
    with path.open("rb") as stream:
        return digest_stream(stream)


def hex_of(digest: Digest) -> str:
    """The hex digits of `digest`."""
    return digest.removeprefix("sha256:")
