"""The same inputs give the same bytes, wherever, whenever and by whomever they are built."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from payload.effects import run
from payload.signing import PrivateKey
from tests.paths import CHECKOUT
from tests.unit.builder.product import Site
from tests.unit.builder.test_pipeline import build

_BUILD = """
import os, sys
from pathlib import Path
os.umask(int(sys.argv[1], 8))
from builder.cli import main
sys.argv = ["sealift", "build", *sys.argv[2:]]
main()
"""


def test_two_builds_in_different_surroundings_are_identical(locked: Site, tmp_path: Path) -> None:
    build(locked, tmp_path / "warm.bin")  # the store has everything from here on
    key = PrivateKey.generate("test")
    pem = tmp_path / "key.pem"
    pem.write_bytes(key.to_pem())
    other = tmp_path / "another folder" / "with the product"
    shutil.copytree(locked.folder, other, copy_function=shutil.copyfile)
    results = []
    for folder, umask, zone, language, seed in (
        (locked.folder, "022", "UTC", "C.UTF-8", "1"),
        (other, "077", "Asia/Tokyo", "C", "77"),
    ):
        out = folder / "out" / "demo.bin"
        environment = {"TZ": zone, "LC_ALL": language, "PYTHONHASHSEED": seed, "SOURCE_DATE_EPOCH": "1700000000"}
        words: list[str | Path] = [folder / "bundle.toml", "-o", out, "--key", pem, "--store", locked.store.root]
        run([sys.executable, "-c", _BUILD, umask, *words], env={**environment, "PYTHONPATH": str(CHECKOUT)})
        results.append(out.read_bytes())
    assert results[0] == results[1]
