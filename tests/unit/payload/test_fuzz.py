"""Whatever is done to a bundle: it is refused by one of the project's own errors, or it is read right.

Nothing is ever written outside the folder that was named. SEALIFT_EXAMPLES says how many changes are tried, and
has the dice fall anew.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from payload.archive import VerifiedBundle, open_bundle
from payload.errors import IntegrityError, TrustError
from payload.events import NullSink
from payload.format import ALIGNMENT, MIN_VOLUME_SIZE, STUB_SIZE, TRAILER_SIZE, Trailer
from payload.signing import PrivateKey
from payload.split import split
from payload.trust import Keyring
from payload.volumes import HEADER_SIZE
from tests.unit.payload.bundles import FILES, build
from tests.unit.payload.mutations import (
    EXAMPLES,
    HOSTILE,
    Change,
    changed,
    changes,
    index_document,
    lying,
    resigned,
    write,
)

KEY = PrivateKey.generate()
RING = Keyring(keys=(KEY.public,))
LARGE = {"images/a.qcow2": bytes(range(256)) * 6000, "templates/b": b"text\n" * 9, "tools/c.whl": b"PK"}


def genuine(files: dict[str, bytes]) -> bytes:
    with tempfile.TemporaryDirectory() as name:
        return build(Path(name), KEY, files=files).read_bytes()


CONTENT = genuine(FILES)
LARGE_CONTENT = genuine(LARGE)
INDEX = index_document(CONTENT)
TRAILER = Trailer.unpack(CONTENT[-TRAILER_SIZE:], len(CONTENT))
PLACES = (
    *(0, STUB_SIZE, TRAILER.help_offset, TRAILER.info_offset, TRAILER.listing_offset, TRAILER.index_offset),
    *(TRAILER.signatures_offset, len(CONTENT) - TRAILER_SIZE, *(blob["offset"] for blob in INDEX["blobs"])),
)


@contextmanager
def jail() -> Iterator[Path]:
    """A folder in which nothing may appear but the bundle's files, and what is below `out`."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as name:
        folder = Path(name)
        (folder / "inner").mkdir()
        yield folder / "inner"
        assert {path.name for path in folder.iterdir()} == {"inner"}
        assert all(path.name.startswith(("x.bin", "out")) for path in (folder / "inner").iterdir())


def files_below(folder: Path) -> dict[str, bytes]:
    assert not any(path.is_symlink() for path in folder.rglob("*"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def use(path: Path, *, honest: bool = True) -> VerifiedBundle:
    """Everything that can be done with a bundle; of one whose maker is `honest`, `--check` sees what extracting sees.

    Raises:
        IntegrityError, TrustError: it is refused, at whatever point.
    """
    bundle = open_bundle(path).verify(RING)
    for text in (bundle.index.help, bundle.index.info, bundle.index.listing):
        bundle.text(text)
    damages = bundle.check(NullSink())
    try:
        take_out(bundle, path.parent / "out")
    except IntegrityError:
        assert all(map(str, damages)) and (damages or not honest), "--check did not see it"
        raise
    assert damages == (), "--check alone saw something"
    return bundle


def take_out(bundle: VerifiedBundle, out: Path) -> None:
    """All files and the runtime, each file in both ways."""
    bundle.extract(out / "files", sink=NullSink(), stage="t")
    for entry in bundle.index.entries:
        assert bundle.read(entry.path) == (out / "files" / entry.path).read_bytes()
    (out / "runtime").mkdir(parents=True)
    bundle.unpack_runtime(out / "runtime")


@settings(max_examples=5 * EXAMPLES)
@given(changes(len(CONTENT), PLACES))
@example([])
@example([Change("truncate", 0, 1, 0, b"")])
@example([Change("repeat", len(CONTENT), len(CONTENT), 0, b"")])
def test_every_change_of_the_file_is_refused(made: list[Change]) -> None:
    content = changed(CONTENT, made)
    with jail() as folder:
        try:
            use(write(folder / "x.bin", content))
        except (IntegrityError, TrustError):
            assert content != CONTENT
        else:
            assert content == CONTENT, "a change that nobody saw"
            assert files_below(folder / "out/files") == FILES


def assert_harmless(document: Any) -> None:
    """Signed by the vendor himself, that index is refused, or nothing but its own files is written."""
    with jail() as folder:
        path = write(folder / "x.bin", resigned(CONTENT, document, KEY))
        try:
            bundle = use(path, honest=False)
        except (IntegrityError, TrustError):
            return
        assert set(files_below(folder / "out/files")) == {entry.path for entry in bundle.index.entries}


@settings(max_examples=4 * EXAMPLES)
@given(lying(INDEX))
def test_an_index_that_lies_is_refused_or_harmless(document: Any) -> None:
    assert_harmless(document)


@pytest.mark.parametrize("table", ["entries", "blobs"])
def test_no_hostile_value_of_a_row_does_harm(table: str) -> None:
    for key, value in product(INDEX[table][0], HOSTILE):
        rows = [INDEX[table][0] | {key: value}, *INDEX[table][1:]]
        assert_harmless(INDEX | {table: rows})


_NUMBERS = [field.name for field in fields(Trailer) if field.name != "index_digest"]
_NUMBER = st.integers(0, 10**16 - 1) | st.integers(0, len(CONTENT)) | st.sampled_from([0, 1, 2**31, 2**62 % 10**16])


@settings(max_examples=3 * EXAMPLES)
@given(st.dictionaries(st.sampled_from(_NUMBERS), _NUMBER, min_size=1, max_size=3))
def test_a_trailer_that_lies_is_refused_with_its_checksum_right(lies: dict[str, Any]) -> None:
    trailer = replace(TRAILER, **lies)
    with jail() as folder:
        path = write(folder / "x.bin", CONTENT[:-TRAILER_SIZE] + trailer.pack())
        try:
            use(path)
        except (IntegrityError, TrustError):
            assert trailer != TRAILER
        else:
            assert trailer == TRAILER


@settings(max_examples=EXAMPLES // 2)
@given(st.data())
def test_every_change_of_a_part_is_refused(data: st.DataObject) -> None:
    with jail() as folder:
        first, *parts = split(build_large(folder), folder / "x.bin", MIN_VOLUME_SIZE)
        part = data.draw(st.sampled_from(parts))
        before = part.read_bytes()
        after = changed(before, data.draw(changes(len(before), (0, HEADER_SIZE, HEADER_SIZE + ALIGNMENT))))
        part.write_bytes(after)
        try:
            use(first)
        except IntegrityError:
            assert after != before
        else:
            assert after == before


def build_large(folder: Path) -> Path:
    (folder / "out").mkdir()
    return write(folder / "out" / "whole", LARGE_CONTENT)
