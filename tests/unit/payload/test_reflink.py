"""On a file system that shares blocks, raw members are not copied but cloned, and still checked."""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from payload.archive import open_bundle
from payload.format import ALIGNMENT
from payload.signing import PrivateKey
from payload.split import split
from tests.paths import CHECKOUT
from tests.unit.payload.bundles import build
from tests.unit.payload.on_xfs import command

KEY = PrivateKey.generate()
IMAGE = random.Random(11).randbytes((20 << 20) + 1234)
FILES = {
    "images/a.qcow2": IMAGE,
    "images/same.qcow2": IMAGE,
    "tools/b.whl": IMAGE[:ALIGNMENT],
    "templates/c": b"text\n" * 999,
}
CLONED = ("images/a.qcow2", "images/same.qcow2", "tools/b.whl")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return build(tmp_path, KEY, name="x.bin", files=FILES)


def on_xfs(folder: Path, bundles: list[Path], *, check: bool = True) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(folder / "xfs.img", bundles), cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=600
    )
    assert (done.returncode == 0) == check, done.stderr
    assert not any(str(folder) in line for line in Path("/proc/mounts").read_text().splitlines())
    return done


def blocks(extents: list[Any]) -> list[int]:
    """The disk's blocks that a file consists of."""
    return [disk + n for disk, count in extents for n in range(count)]


@pytest.mark.parametrize("volume_size", [None, 8 << 20])
def test_raw_members_share_their_blocks_with_the_bundle(bundle: Path, tmp_path: Path, volume_size: int | None) -> None:
    (tmp_path / "parts").mkdir()
    files = [bundle] if volume_size is None else split(bundle, tmp_path / "parts" / "x.bin", volume_size)
    found = json.loads(on_xfs(tmp_path, [*files]).stdout)
    assert found["taken"] < len(IMAGE) // 10, "the content of the images lies on the disk once"
    ours = {block for name, rows in found["extents"].items() if name.startswith("x.bin") for block in blocks(rows)}
    for name in CLONED:
        whole, rest = divmod(len(FILES[name]), ALIGNMENT)
        mine = blocks(found["extents"][f"out/{name}"])
        assert len(mine) == whole + (rest > 0)
        assert {*mine[:whole]} <= ours, "only a last block that is cut off is the file's own"


def test_a_cloned_member_is_checked(bundle: Path, tmp_path: Path) -> None:
    index = open_bundle(bundle).claimed
    blob = next(blob for blob in index.blobs if blob.size == len(IMAGE))
    content = bytearray(bundle.read_bytes())
    content[blob.offset + (17 << 20)] ^= 1
    bundle.write_bytes(content)
    said = on_xfs(tmp_path, [bundle], check=False).stderr
    start = blob.offset + (16 << 20)
    assert f"images: images/a.qcow2 at byte {start} to {blob.offset + len(IMAGE) - 1}" in said
