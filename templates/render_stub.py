"""The stub knows its own digest: a damaged shell script must not run into its damage."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from templates.contexts import StubContext
from templates.render import render

_NAME = "stub/header.sh.j2"
_BEFORE = 2
"""The lines that it does not cover: the shell's name, and the digest itself."""


def render_stub(context: StubContext, size: int) -> bytes:
    """The stub, padded with newlines to `size` bytes. Its second line holds the SHA-256 of all that follow.

    Raises:
        ValueError: it is longer than `size`.
    """
    draft = _padded(context, size)
    covered = draft.split(b"\n", _BEFORE)[_BEFORE]
    return _padded(replace(context, stub_sha256=hashlib.sha256(covered).hexdigest()), size)


def _padded(context: StubContext, size: int) -> bytes:
    text = render(_NAME, context).encode()
    if len(text) > size:
        raise ValueError(f"the stub has {len(text)} bytes, {size} is the most")
    return text.ljust(size, b"\n")
