"""Bundles of every released format stay readable, and damaged ones stay refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from payload.archive import open_bundle
from payload.errors import IntegrityError
from payload.events import NullSink
from payload.format import TRAILER_SIZE, Trailer
from payload.trust import Keyring, PublicKey
from tests.unit.payload.bundles import FILES

GOLDEN = Path(__file__).parent / "golden" / "v1"
RING = Keyring(keys=(PublicKey.from_text((GOLDEN / "release.pub").read_text()),))


def test_a_bundle_of_format_1_is_read(tmp_path: Path) -> None:
    bundle = open_bundle(GOLDEN / "good.bin").verify(RING)
    assert bundle.check(NullSink()) == ()
    bundle.extract(tmp_path / "out", sink=NullSink(), stage="t")
    for name, content in FILES.items():
        assert (tmp_path / "out" / name).read_bytes() == content
    assert str(bundle.index.manifest.product.version) == "1.0.0"


def test_the_layout_of_format_1_does_not_move() -> None:
    content = (GOLDEN / "good.bin").read_bytes()
    assert TRAILER_SIZE == 380
    assert content[-TRAILER_SIZE:].startswith(b"SEALIFT bundle 1\nfile ")
    trailer = Trailer.unpack(content[-TRAILER_SIZE:], len(content))
    assert content[trailer.index_offset :][:4] == b"\x28\xb5\x2f\xfd"
    assert content[trailer.signatures_offset :].startswith(b'[{"key":"SHA256:')
    assert trailer.help_offset % 4096 == 0
    assert content[trailer.help_offset :].startswith(b"Usage: bash @program@")
    assert content[trailer.listing_offset :][:10] in {b"0644 zstd ", b"0644 raw  "}


@pytest.mark.parametrize("name", ["tampered.bin", "truncated.bin"])
def test_damaged_bundles_of_format_1_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError):
        open_bundle(GOLDEN / name).verify(RING).extract(tmp_path / "out", sink=NullSink(), stage="t")
