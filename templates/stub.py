"""The stub knows its own digest: a damaged shell script must not run into its damage."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from templates.contexts import StubContext
from templates.render import render

_NAME = "stub/header.sh.j2"
_LINE = b"stub="


def render_stub(context: StubContext, size: int) -> bytes:
    """The stub, padded with newlines to `size` bytes. Its line `stub=DIGEST` holds the SHA-256 of all other lines.

    Raises:
        ValueError: it is longer than `size`.
    """
    draft = _padded(context, size)
    others = b"".join(line for line in draft.splitlines(keepends=True) if not line.startswith(_LINE))
    return _padded(replace(context, stub_sha256=hashlib.sha256(others).hexdigest()), size)


def _padded(context: StubContext, size: int) -> bytes:
    text = render(_NAME, context).encode()
    if len(text) > size:
        raise ValueError(f"the stub has {len(text)} bytes, {size} is the most")
    return text.ljust(size, b"\n")
