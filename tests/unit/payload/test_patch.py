from __future__ import annotations

import random
import struct
import tempfile
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import example, given, settings

from payload import patch
from payload.errors import IntegrityError
from payload.patch import apply_patch, make_patch
from payload.runs import Finder
from tests.unit.payload.mutations import EXAMPLES, Change, changed, changes


def roundtrip(folder: Path, old: bytes, new: bytes) -> int:
    """Make and apply; the size of the patch."""
    for name, content in (("old", old), ("new", new)):
        (folder / name).write_bytes(content)
    size = make_patch(folder / "old", folder / "new", folder / "patch")
    with (folder / "patch").open("rb") as stream, (folder / "old").open("rb") as before:
        assert b"".join(apply_patch(stream, before.fileno())) == new
    return size


@pytest.mark.parametrize(("old", "new"), [(b"", b""), (b"", b"x" * 99), (b"x" * 99, b""), (b"abc" * 999, b"abd" * 999)])
def test_small_and_empty_files(tmp_path: Path, old: bytes, new: bytes) -> None:
    roundtrip(tmp_path, old, new)


def test_blocks_that_moved_far_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With small windows: as an image whose clusters are in another order."""
    for name, size in (("SEGMENT", 1 << 20), ("WINDOW", 2 << 20)):
        monkeypatch.setattr(patch, name, size)
    clusters = [random.Random(seed).randbytes(1 << 16) for seed in range(64)]
    moved = [*clusters[40:], *clusters[:40]]
    assert roundtrip(tmp_path, b"".join(clusters), b"".join(moved)) < 20_000


def test_a_patch_of_something_else_is_refused(tmp_path: Path) -> None:
    roundtrip(tmp_path, b"abc" * 9999, b"abd" * 9999)
    content = bytearray((tmp_path / "patch").read_bytes())
    with (tmp_path / "old").open("rb") as old:
        for offset in range(16):
            broken = bytearray(content)
            broken[offset] ^= 0xFF
            (tmp_path / "broken").write_bytes(broken)
            with (tmp_path / "broken").open("rb") as stream, pytest.raises(IntegrityError):
                b"".join(apply_patch(stream, old.fileno()))


def test_content_of_a_large_file_is_found_wherever_it_went(tmp_path: Path) -> None:
    noise = random.Random(5).randbytes(patch.WINDOW + (8 << 20))
    half = len(noise) // 2
    assert roundtrip(tmp_path, noise, noise[half + 12_345 :] + b"between" + noise[: half - 999]) < 20_000


def test_text_without_names_is_found_also_when_what_is_before_it_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten words have none of the places by which content is recognized elsewhere."""
    monkeypatch.setattr(patch, "WINDOW", 4 << 20)
    source = random.Random(3)
    words = ["server", "agent", "host", "storage", "router", "console", "package", "release", "journal", "rollback"]
    text = " ".join(source.choices(words, k=400_000)).encode()
    noise = source.randbytes(patch.WINDOW)
    middle = len(text) // 2
    new = source.randbytes(3 << 20) + noise + text[:middle] + b"a change" + text[middle + 9 :]
    assert roundtrip(tmp_path, noise + text, new) < (3 << 20) + 20_000


def test_a_patch_of_edits_is_hardly_more_than_the_edits(tmp_path: Path) -> None:
    """Rewritten, inserted and removed bytes: what lies between is a run, with exact ends."""
    old = random.Random(8).randbytes(2 << 20)
    new = old[:700_000] + b"rewritten" * 5 + old[700_045:1_200_000] + b"inserted" + old[1_200_000:1_900_000]
    assert roundtrip(tmp_path, old, new) < 400
    (tmp_path / "old").write_bytes(old)
    with (tmp_path / "old").open("rb") as file:
        runs = [*Finder(file.fileno(), new, 0, {}).runs()]
    ends = [(0, 0, 700_000), (700_045, 700_045, 499_955), (1_200_008, 1_200_000, 700_000)]
    assert [(run.new, run.old, run.size) for run in runs] == ends


BASE = random.Random(9).randbytes(1 << 17) + b"the same line\n" * 5000


@settings(max_examples=EXAMPLES)
@given(changes(len(BASE), (0, 1, 1 << 16, 1 << 17, len(BASE) - 1)))
def test_whatever_was_edited_comes_out_again(made: list[Change]) -> None:
    with tempfile.TemporaryDirectory() as name:
        roundtrip(Path(name), BASE, changed(BASE, made))
        roundtrip(Path(name), changed(BASE, made), BASE)


@pytest.mark.parametrize(("size", "offset"), [(11, 0), (1, 10), (1, 1 << 63), (patch.SEGMENT + 1, 0)])
def test_a_run_that_is_not_in_the_old_file_is_refused(tmp_path: Path, size: int, offset: int) -> None:
    (tmp_path / "old").write_bytes(bytes(10))
    with (tmp_path / "old").open("rb") as old, pytest.raises(IntegrityError) as caught:
        b"".join(apply_patch(BytesIO(struct.pack("<4sIQ", b"SLr1", size, offset)), old.fileno()))
    assert caught.value.code == "patch-misfit"


OLD, NEW = b"abc" * 9999, b"abd" * 9999


def small_patch() -> bytes:
    with tempfile.TemporaryDirectory() as name:
        roundtrip(Path(name), OLD, NEW)
        return (Path(name) / "patch").read_bytes()


PATCH = small_patch()


@settings(max_examples=3 * EXAMPLES)
@given(changes(len(PATCH), (0, 4, 8, 12, 16, 20, 24)))
@example([Change("overwrite", 16, 1, 0, b"\xff" * 7 + b"\x7f")])  # a range at the largest offset of all
def test_a_changed_patch_is_refused_or_gives_some_bytes(made: list[Change]) -> None:
    """Whether they are the right ones is for the caller's digest to say."""
    with tempfile.TemporaryFile() as old:
        old.write(OLD)
        old.flush()
        try:
            content = b"".join(apply_patch(BytesIO(changed(PATCH, made)), old.fileno()))
        except IntegrityError as error:
            assert error.code == "patch-misfit"
        else:
            assert len(content) <= 4 * len(PATCH) * patch.SEGMENT
