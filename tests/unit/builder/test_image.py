from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from builder.sources.image import HEADER_SIZE, lock_image, virtual_size
from payload.errors import InputError
from payload.manifest import Image
from tests.unit.builder.product import qcow2, sha256


def test_the_header_of_a_whole_image() -> None:
    assert virtual_size(qcow2(12345)[:HEADER_SIZE], "x") == 12345
    assert virtual_size(qcow2(512, version=2)[:72], "x") == 512


@pytest.mark.parametrize(
    ("header", "why"),
    [
        (b"", "not a qcow2"),
        (b"QFI\xfb", "not a qcow2"),
        (b"\x7fELF" + bytes(100), "not a qcow2"),
        (qcow2(version=4), "damaged"),
        (qcow2(bits=40), "damaged"),
        (qcow2(0), "damaged"),
        (qcow2()[:75], "truncated"),
        (qcow2(backing=512), "backing file"),
        (qcow2(features=4), "external file"),
    ],
)
def test_images_that_cannot_be_used(header: bytes, why: str) -> None:
    with pytest.raises(InputError, match=why) as caught:
        virtual_size(header[:HEADER_SIZE], "disk.qcow2")
    assert caught.value.code == "image-unfit"
    assert "disk.qcow2" in caught.value.brief


@given(st.binary(max_size=HEADER_SIZE), st.booleans())
def test_any_bytes_give_a_size_or_the_error(content: bytes, magic: bool) -> None:
    header = b"QFI\xfb" + content if magic else content
    try:
        assert virtual_size(header[:HEADER_SIZE], "x") > 0
    except InputError as error:
        assert error.code == "image-unfit"


@given(st.integers(min_value=1, max_value=2**63), st.sampled_from([2, 3]), st.integers(9, 21))
def test_any_size_survives(size: int, version: int, bits: int) -> None:
    assert virtual_size(qcow2(size, version=version, bits=bits)[:HEADER_SIZE], "x") == size


def test_a_file_is_measured(tmp_path: Path) -> None:
    path = tmp_path / "disk.qcow2"
    path.write_bytes(qcow2(777))
    locked = lock_image(Image(name="disk", path="disk.qcow2"), tmp_path)
    assert (locked.digest, locked.size, locked.virtual_size) == (sha256(path), path.stat().st_size, 777)


@pytest.mark.parametrize("claim", [{"size": 1}, {"virtual_size": 1}, {"sha256": "0" * 64}])
def test_a_wrong_claim(tmp_path: Path, claim: dict[str, object]) -> None:
    (tmp_path / "disk.qcow2").write_bytes(qcow2())
    image = Image.model_validate({"name": "disk", "path": "disk.qcow2"} | claim)
    with pytest.raises(InputError) as caught:
        lock_image(image, tmp_path)
    assert caught.value.code == "image-mismatch"
    assert next(iter(claim)).replace("_", "-") in caught.value.details
