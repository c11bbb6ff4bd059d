"""Extraction on a file system that shares blocks, for `tests.bench.bundle`.

It runs in a mount namespace of its own, on a new XFS in a file: `python -m tests.bench.bundle_xfs IMAGE BUNDLE SOURCE
ROUNDS` prints the seconds of the raw members of BUNDLE, and of `cp` with and without sharing. Every extracted byte is
compared with SOURCE.
"""

from __future__ import annotations

import filecmp
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from payload.archive import VerifiedBundle, open_bundle
from payload.events import NullSink
from payload.model import Entry
from tests.bench.measure import Row, call, median

_RAW = "repository"
"""The component of the payload whose files are stored raw."""


def rows(bundle: Path, source: Path, rounds: int) -> Iterator[Row]:
    """Raw members taken out, beside `cp -r` of the same files on the same file system."""
    image = bundle.with_name("xfs.img")
    words: list[str | Path] = [sys.executable, "-m", __name__, image, bundle, source / _RAW, str(rounds)]
    said = call("unshare", "--mount", "--propagation=private", *words)
    image.unlink()
    seconds: dict[str, float] = json.loads(said)
    yield Row("XFS: raw members, checked", seconds["ours"], "cp -r --reflink=never", seconds["copy"], 1 / 5)
    yield Row("XFS: raw members, checked", seconds["ours"], "cp -r, which shares blocks", seconds["share"])


def main(image: Path, bundle: Path, source: Path, rounds: int) -> None:
    with image.open("wb") as file:
        file.truncate(3 * bundle.stat().st_size + (1 << 30))
    subprocess.run(["mkfs.xfs", "-q", "-m", "reflink=1", image], check=True)
    folder = image.with_suffix(".mounted")
    folder.mkdir()
    subprocess.run(["mount", "-o", "loop", image, folder], check=True)  # the loop device goes with the mount
    try:
        print(json.dumps(measure(folder, bundle, source, rounds)))
    finally:
        subprocess.run(["umount", folder], check=True)
        folder.rmdir()


def measure(folder: Path, bundle: Path, source: Path, rounds: int) -> dict[str, float]:
    """Seconds of each way; what was written before is on the disk already."""
    mine, files, out = folder / "x.bin", folder / "files", folder / "out"
    shutil.copyfile(bundle, mine)
    shutil.copytree(source, files)
    unverified = open_bundle(mine)
    verified = unverified.verify(unverified.claimed.keyring)

    def timed(*words: str | Path) -> float:
        os.sync()
        return median(lambda: call(*words), rounds, fresh=out)

    os.sync()
    found = {"ours": median(lambda: take_out(verified, out), rounds, fresh=out)}
    for path in source.iterdir():
        if not filecmp.cmp(path, out / _RAW / path.name, shallow=False):
            raise SystemExit(f"{path.name} came out different")
    found["copy"] = timed("cp", "-r", "--reflink=never", files, out)
    found["share"] = timed("cp", "-r", "--reflink=auto", files, out)
    return found


def take_out(bundle: VerifiedBundle, out: Path) -> None:
    """The raw members, cloned and checked."""

    def raw(entry: Entry) -> bool:
        return entry.component == _RAW

    bundle.extract(out, sink=NullSink(), stage="extract", select=raw)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
