"""Decoding zstd frames out of files that may lie about them."""

from __future__ import annotations

import zstandard


def frame_content(frame: bytes, size: int, dictionary: zstandard.ZstdCompressionDict | None = None) -> bytes | None:
    """The content of a frame that says it has `size` bytes and has them; None for anything else.

    A decoder reserves what a frame claims, whatever it is told to expect: so the claim is looked at first.
    """
    try:
        if zstandard.frame_content_size(frame) != size:
            return None
        content = zstandard.ZstdDecompressor(dict_data=dictionary).decompress(frame)
    except zstandard.ZstdError:
        return None
    return content if len(content) == size else None
