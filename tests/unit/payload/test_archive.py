"""The bundle file: what is written can be read, and no change goes unseen."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payload.archive import VerifiedBundle, open_bundle
from payload.errors import IntegrityError, SealiftError, TrustError, UsageError
from payload.events import NullSink
from payload.format import ALIGNMENT, STUB_SIZE, TRAILER_SIZE
from payload.signing import PrivateKey
from payload.trust import Keyring
from tests.unit.payload.bundles import FILES, build

KEY = PrivateKey.generate()
RING = Keyring(keys=(KEY.public,))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle that no test changes."""
    return build(tmp_path_factory.mktemp("bundle"), KEY)


def verified(path: Path) -> VerifiedBundle:
    return open_bundle(path).verify(RING)


def test_what_was_added_comes_out(bundle: Path, tmp_path: Path) -> None:
    verified(bundle).extract(tmp_path / "out", sink=NullSink(), stage="t")
    found = {str(p.relative_to(tmp_path / "out")): p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file()}
    assert found == FILES


def test_identical_content_is_stored_once_and_members_are_aligned(bundle: Path) -> None:
    index = verified(bundle).index
    assert len(index.blobs) == len(set(FILES.values()))
    assert all(blob.offset % ALIGNMENT == 0 for blob in index.blobs)
    assert {entry.path for entry in index.entries} == set(FILES)


def test_compressed_files_are_raw_and_text_is_not(bundle: Path) -> None:
    index = verified(bundle).index
    codec = {entry.path: blob.codec for entry in index.entries for blob in index.blobs if blob.digest == entry.blob}
    assert codec["repository/Packages/a.rpm"] == codec["tools/pip-1-py3-none-any.whl"] == "raw"
    assert codec["templates/config/app.toml.j2"] == "zstd"


def test_same_calls_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = (build(tmp_path, KEY, name=name).read_bytes() for name in ("one.bin", "two.bin"))
    assert one == two


def test_a_long_file_given_twice_leaves_nothing_behind_a_short_one(tmp_path: Path) -> None:
    long = bytes(range(1, 255)) * 100
    files = {"tools/a.whl": long, "tools/b.whl": long, "tools/c.whl": b"short", "tools/d.whl": b"end"}
    assert verified(build(tmp_path, KEY, files=files)).check(NullSink()) == ()


def test_one_entry_can_be_read(bundle: Path) -> None:
    assert verified(bundle).read("repository/Packages/a.rpm") == FILES["repository/Packages/a.rpm"]
    with pytest.raises(UsageError, match="is not in"):
        verified(bundle).read("nothing")


def test_runtime_unpacks(bundle: Path, tmp_path: Path) -> None:
    verified(bundle).unpack_runtime(tmp_path)
    assert (tmp_path / "sealift-runtime").stat().st_mode & 0o111


def test_an_existing_file_is_never_replaced(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server" / "empty").write_text("mine")
    with pytest.raises(FileExistsError):
        verified(bundle).extract(tmp_path, sink=NullSink(), stage="t")
    assert (tmp_path / "server" / "empty").read_text() == "mine"


def refuse(path: Path, folder: Path) -> SealiftError | None:
    """What an install would say to this file; None if it would take it."""
    try:
        genuine = verified(path)
        genuine.extract(folder / "out", sink=NullSink(), stage="t")
        folder.joinpath("runtime").mkdir()
        genuine.unpack_runtime(folder / "runtime")
    except (IntegrityError, TrustError) as error:
        return error
    return None


def test_every_flipped_byte_is_refused(bundle: Path, tmp_path: Path) -> None:
    content = bundle.read_bytes()
    index = verified(bundle).index
    edges = {o + d for blob in index.blobs for o in (blob.offset, blob.offset + blob.stored_size) for d in (-1, 0)}
    members_end = len(content) - TRAILER_SIZE - 8000
    chosen = {0, STUB_SIZE - 1, STUB_SIZE, *edges, *range(max(members_end, len(content) - 900), len(content))}
    chosen |= set(random.Random(1).sample(range(len(content)), 300))
    for number, position in enumerate(sorted(p for p in chosen if 0 <= p < len(content))):
        damaged = bytearray(content)
        damaged[position] ^= 1 << (position % 8)
        path = tmp_path / "damaged.bin"
        path.write_bytes(damaged)
        folder = tmp_path / str(number)
        folder.mkdir()
        assert refuse(path, folder) is not None, f"byte {position} of {len(content)} changed and nobody saw"


@pytest.mark.parametrize("cut", [1, 100, TRAILER_SIZE, 5000, 40000])
def test_a_truncated_file_is_refused(bundle: Path, tmp_path: Path, cut: int) -> None:
    path = tmp_path / "short.bin"
    path.write_bytes(bundle.read_bytes()[:-cut])
    with pytest.raises(IntegrityError, match="the file"):
        open_bundle(path)


def test_appended_bytes_are_refused(bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "long.bin"
    path.write_bytes(bundle.read_bytes() + b"\0")
    with pytest.raises(IntegrityError):
        open_bundle(path)


def test_check_names_every_damaged_member(bundle: Path, tmp_path: Path) -> None:
    content = bytearray(bundle.read_bytes())
    genuine = verified(bundle)
    assert genuine.check(NullSink()) == ()
    blobs = {blob.digest: blob for blob in genuine.index.blobs}
    names = ("templates/config/app.toml.j2", "tools/pip-1-py3-none-any.whl")
    for entry in genuine.index.entries:
        if entry.path in names:
            content[blobs[entry.blob].offset + 3] ^= 1
    path = tmp_path / "damaged.bin"
    path.write_bytes(content)
    assert {damage.path for damage in verified(path).check(NullSink())} == set(names)


def test_a_foreign_signature_is_refused(tmp_path: Path) -> None:
    path = build(tmp_path, PrivateKey.generate())
    with pytest.raises(TrustError, match="no trusted key"):
        verified(path)


def test_the_embedded_key_is_the_signers(bundle: Path) -> None:
    unverified = open_bundle(bundle)
    assert unverified.claimed.keyring.keys == (KEY.public,)
    assert unverified.signers() == (KEY.public.fingerprint,)


def test_an_unreadable_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        open_bundle(tmp_path / "none.bin")


@settings(max_examples=150)
@given(st.binary(max_size=600))
def test_garbage_is_refused_cleanly(garbage: bytes) -> None:
    with tempfile.NamedTemporaryFile() as file:
        file.write(garbage)
        file.flush()
        with pytest.raises(IntegrityError):
            open_bundle(Path(file.name))
