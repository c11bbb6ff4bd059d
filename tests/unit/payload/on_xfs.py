"""Takes everything out of a bundle on a new XFS, in a mount namespace that ends with it. Run by a test.

Usage: python -m tests.unit.payload.on_xfs IMAGE BUNDLE..., as root. IMAGE comes to be; the first BUNDLE is extracted,
the others are its parts. Prints JSON: the space that it took, and for each file (`x.bin`, its parts, and those taken
out) its extents in the file's order, as `filefrag -v` has them: the first block on the disk, and how many.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from payload.archive import open_bundle
from payload.effects import sync_filesystem
from payload.events import NullSink

SIZE = 400 << 20
_EXTENT = re.compile(r"^ *\d+: +\d+\.\. +\d+: +(\d+)\.\. +\d+: +(\d+):", re.MULTILINE)


def command(image: Path, bundles: list[Path]) -> list[str | Path]:
    """The command that runs this module: the mount is seen by nobody else and is gone with it, however it ends."""
    return ["unshare", "--mount", "--propagation=private", sys.executable, "-m", __name__, image, *bundles]


def main(image: Path, bundles: list[Path]) -> None:
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", image], check=True)
    folder = image.with_suffix(".mounted")
    folder.mkdir()
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)  # the loop device goes with the mount
    try:
        print(json.dumps(taken_out(folder, bundles)))
    finally:
        subprocess.run(["umount", folder], check=True)


def taken_out(folder: Path, bundles: list[Path]) -> dict[str, object]:
    for bundle in bundles:
        shutil.copyfile(bundle, folder / bundle.name)
    sync_filesystem(folder)
    before = os.statvfs(folder).f_bfree
    unverified = open_bundle(folder / bundles[0].name)
    unverified.known(unverified.digest).extract(folder / "out", sink=NullSink(), stage="t")
    sync_filesystem(folder)
    info = os.statvfs(folder)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "taken": (before - info.f_bfree) * info.f_bsize,
        "extents": {str(path.relative_to(folder)): extents(path) for path in files},
    }


def extents(path: Path) -> list[tuple[int, int]]:
    said = subprocess.run(["filefrag", "-v", path], check=True, capture_output=True, text=True).stdout
    return [(int(disk), int(blocks)) for disk, blocks in _EXTENT.findall(said)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(word) for word in sys.argv[2:]])
