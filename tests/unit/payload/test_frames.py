"""A frame is what it says it is, or nothing; what it claims is never reserved unseen."""

from __future__ import annotations

import pytest
import zstandard

from payload.frames import frame_content

CONTENT = b"a line of text\n" * 100


def claiming(size: int) -> bytes:
    """The beginning of a frame that claims `size` bytes."""
    stream = zstandard.ZstdCompressor().compressobj(size=size)
    return stream.compress(CONTENT) + stream.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


def test_a_frame_of_the_right_size_is_decoded() -> None:
    assert frame_content(zstandard.compress(CONTENT), len(CONTENT)) == CONTENT
    assert frame_content(zstandard.compress(b""), 0) == b""


@pytest.mark.parametrize("size", [0, 1, len(CONTENT) - 1, len(CONTENT) + 1, 1 << 50])
def test_another_size_is_refused(size: int) -> None:
    assert frame_content(zstandard.compress(CONTENT), size) is None


def test_a_frame_that_claims_the_memory_of_a_planet_is_refused() -> None:
    assert zstandard.frame_content_size(claiming(1 << 50)) == 1 << 50
    with pytest.raises(MemoryError):
        zstandard.ZstdDecompressor().decompress(claiming(1 << 50), max_output_size=9)
    assert frame_content(claiming(1 << 50), len(CONTENT)) is None


@pytest.mark.parametrize(
    "frame", [b"", b"no frame at all", zstandard.compress(CONTENT)[:-1], claiming(len(CONTENT) + 9)]
)
def test_what_is_no_whole_frame_is_refused(frame: bytes) -> None:
    assert frame_content(frame, len(CONTENT)) is None
