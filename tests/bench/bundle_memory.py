"""The largest memory of building, checking and unpacking a large bundle, for `tests.bench.bundle`."""

from __future__ import annotations

import random
import shutil
import sys
from pathlib import Path

from tests.bench.measure import build, call

_PIECE = 64 << 20


def measure(work: Path, *, gigabytes: int) -> dict[str, int]:
    """MB of each process. Half of the payload is noise that is stored as it is, half is zeros that are compressed."""
    source, bundle = work / "in", work / "x.bin"
    source.mkdir(parents=True)
    noise = random.Random(3)
    with (source / "noise.qcow2").open("wb") as out:
        for _ in range(gigabytes * (1 << 29) // _PIECE):
            out.write(noise.randbytes(_PIECE))
    with (source / "zeros").open("wb") as out:
        out.truncate(gigabytes << 29)
    found = {"build": _packing(source, work, bundle)}
    shutil.rmtree(source)
    for what, words in {"check": [bundle], "extract": [bundle, work / "out"]}.items():
        found[what] = int(call(sys.executable, "-m", "tests.bench.reading", *words)) >> 10
    shutil.rmtree(work)
    return found


def _packing(source: Path, work: Path, bundle: Path) -> int:
    return int(call(sys.executable, "-m", __name__, source, work, bundle)) >> 10


def main(source: Path, work: Path, bundle: Path) -> None:
    """Pack, and print this process's largest memory in KiB."""
    build(source, work, bundle)
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
