"""A split bundle is the same bundle, in whatever folders its parts lie; a wrong part is named."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payload.archive import VerifiedBundle, open_bundle
from payload.errors import InputError, IntegrityError
from payload.events import NullSink
from payload.signing import PrivateKey
from payload.split import parse_size, split
from payload.trust import Keyring
from payload.volumes import HEADER_SIZE, OpenVolumes, Span, VolumeHeader, volume_path
from tests.unit.payload.bundles import build

KEY = PrivateKey.generate()
RING = Keyring(keys=(KEY.public,))
SIZE = 1 << 20
NOISE = random.Random(3)
FILES = {
    "images/a.qcow2": NOISE.randbytes(3 * SIZE + 12345),
    "tools/b.whl": NOISE.randbytes(300),
    "templates/c.txt": b"text\n" * 30000,
    "images/d.qcow2": NOISE.randbytes(SIZE),
}


@pytest.fixture
def whole(tmp_path: Path) -> Path:
    return build(tmp_path, KEY, files=FILES)


def verified(path: Path, *folders: Path) -> VerifiedBundle:
    return open_bundle(path, folders).verify(RING)


def assert_extracts(bundle: VerifiedBundle, folder: Path) -> None:
    bundle.extract(folder, sink=NullSink(), stage="t")
    assert {name: (folder / name).read_bytes() for name in FILES} == FILES


def test_parts_are_read_without_being_joined(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    first, *parts = split(whole, tmp_path / "out" / "x.bin", SIZE)
    assert [part.name for part in parts] == [f"x.bin.{n:03}" for n in range(1, 6)]
    assert all(path.stat().st_size <= SIZE for path in (first, *parts))
    bundle, before = verified(first), verified(whole)
    assert (bundle.digest, bundle.index, bundle.size) == (before.digest, before.index, before.size)
    assert bundle.check(NullSink()) == ()
    assert_extracts(bundle, tmp_path / "extracted")
    assert bundle.text(bundle.index.listing) == before.text(before.index.listing)
    with bundle.opened("images/a.qcow2") as member:
        assert member.pread(2 * SIZE, 900_000) == FILES["images/a.qcow2"][900_000 : 900_000 + 2 * SIZE]
        assert member.pread(100, member.size - 7) == FILES["images/a.qcow2"][-7:]
        assert member.pread(100, member.size + 7) == b""


def test_parts_may_lie_in_any_folders_and_under_other_names(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    first, *parts = split(whole, tmp_path / "out" / "x.bin", SIZE)
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    two.mkdir()
    for number, part in enumerate(parts):
        part.rename((one, two)[number % 2] / part.name.replace("x.bin", "DISC" if number > 2 else "x.bin"))
    (two / "other.001").write_bytes(b"no part at all")
    assert_extracts(verified(first, two, one), tmp_path / "extracted")


def test_every_missing_or_wrong_part_is_named(whole: Path, tmp_path: Path) -> None:
    for folder in ("out", "other"):
        (tmp_path / folder).mkdir()
    first, *parts = split(whole, tmp_path / "out" / "x.bin", SIZE)
    other = build(tmp_path / "other", KEY, files=FILES | {"tools/b.whl": b"another release"})
    foreign = split(other, tmp_path / "other" / "x.bin", SIZE)
    parts[0].unlink()
    parts[1].write_bytes(foreign[2].read_bytes())
    parts[2].write_bytes(parts[2].read_bytes()[:-1])
    parts[3].write_bytes(b"\0" * 5000)
    with pytest.raises(IntegrityError) as caught:
        open_bundle(first)
    lines = caught.value.details.splitlines()
    assert lines[0] == "x.bin.001: this part is missing"
    assert "x.bin.002: this part belongs to another bundle" in lines[1]
    assert "x.bin.003: this part has" in lines[2]
    assert "x.bin.004: this is no part of a bundle" in lines[3]
    assert len(lines) == 4


def test_exchanged_parts_are_named(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    first, one, two, *_ = split(whole, tmp_path / "out" / "x.bin", SIZE)
    content = one.read_bytes()
    one.write_bytes(two.read_bytes())
    two.write_bytes(content)
    with pytest.raises(IntegrityError, match="cannot be read") as caught:
        open_bundle(first)
    assert "x.bin.001: this is part 2" in caught.value.details


def test_damage_within_a_part_is_named_by_file(whole: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    first, part, *_ = split(whole, tmp_path / "out" / "x.bin", SIZE)
    content = bytearray(part.read_bytes())
    content[HEADER_SIZE + 5000] ^= 1
    part.write_bytes(content)
    (damage,) = verified(first).check(NullSink())
    assert (damage.component, damage.path) == ("images", "images/a.qcow2")


def test_parts_of_an_older_build_are_removed(whole: Path, tmp_path: Path) -> None:
    target = tmp_path / "out" / "x.bin"
    target.parent.mkdir()
    count = len(split(whole, target, SIZE))
    assert len(split(whole, target, 3 * SIZE)) < count
    mine = volume_path(target, 3)
    mine.write_text("not a part")
    fewer = split(whole, target, 3 * SIZE)
    assert {*target.parent.iterdir()} == {*fewer, mine}


@pytest.mark.parametrize("size", [1, 4096, SIZE - 1])
def test_too_small_volumes_are_refused(whole: Path, tmp_path: Path, size: int) -> None:
    with pytest.raises(InputError, match="do not do"):
        split(whole, tmp_path / "x.bin", size)
    assert not (tmp_path / "x.bin").exists()


@pytest.mark.parametrize(("text", "size"), [("4G", 4 << 30), ("650m", 650 << 20), ("7", 7), ("1K", 1024)])
def test_sizes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "G", "-1", "1.5G", "4GB", "0", "\u0664G", "1 G"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(InputError, match="no size"):
        parse_size(text)


@given(st.binary(max_size=300) | st.binary(max_size=80).map(lambda tail: b"SEALIFT volume 1\nbundle " + tail))
def test_garbage_is_no_header(garbage: bytes) -> None:
    assert VolumeHeader.unpack(garbage) is None


@settings(max_examples=60)
@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.data())
def test_any_range_is_found_in_any_cut(sizes: list[int], data: st.DataObject) -> None:
    starts = [sum(sizes[:n]) for n in range(len(sizes))]
    volumes = OpenVolumes([Span(n, 7, start, size) for n, (start, size) in enumerate(zip(starts, sizes, strict=True))])
    offset = data.draw(st.integers(0, sum(sizes) - 1))
    size = data.draw(st.integers(0, sum(sizes) - offset))
    found = [*volumes.spans(offset, size)]
    assert sum(span.size for span in found) == size
    assert all(span.position == 7 + span.offset - starts[span.fd] for span in found)
