"""Reads a bundle, for the benches: `python -m tests.bench.reading BUNDLE [FOLDER]` checks it, or unpacks it there.

Prints the largest memory of the process in KiB.
"""

from __future__ import annotations

import sys
from pathlib import Path

from payload.archive import open_bundle
from payload.events import NullSink


def main(bundle: Path, folder: Path | None = None) -> None:
    unverified = open_bundle(bundle)
    verified = unverified.verify(unverified.claimed.keyring)
    if folder is None:
        assert verified.check(NullSink()) == ()
    else:
        verified.extract(folder, sink=NullSink(), stage="extract")
    status = Path("/proc/self/status").read_text()
    print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:3]))
