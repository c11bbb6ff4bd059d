"""Upgrade bundles beside their peers: `python -m tests.bench.upgrade [--quick]` prints a table and JSON.

One large file changes as files do: bytes are rewritten, inserted and removed in two of a hundred blocks. What an
upgrade bundle holds for it is a patch. Peer: zstd --patch-from, at the same level; applying is timed beside `cp` of
the result.
200 MB (--quick: 40 MB) of programs, text and noise. xdelta3 is compared with when it is installed.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from payload.digest import digest_file
from payload.patch import apply_patch, make_patch
from tests.bench.measure import call, make_payload, median

_LEVEL = "-12"


@dataclass(frozen=True, slots=True)
class Way:
    """One way: bytes that travel, seconds to make and to apply (medians)."""

    name: str
    size: int
    make: float
    apply: float

    def line(self) -> str:
        return f"{self.name:<22} {self.size:>12} bytes   make {self.make:8.3f} s   apply {self.apply:8.3f} s"


def make_files(folder: Path, megabytes: int) -> tuple[Path, Path]:
    """The old file and the new one: the same bytes every time."""
    old, new = folder / "old", folder / "new"
    with old.open("wb") as out:
        for path in sorted(make_payload(folder / "in", megabytes).rglob("*")):
            if path.is_file():
                out.write(path.read_bytes())
    shutil.rmtree(folder / "in")
    noise, content = random.Random(11), old.read_bytes()
    with new.open("wb") as out:
        for offset in range(0, len(content), 1 << 16):
            block = content[offset : offset + (1 << 16)]
            if noise.random() < 0.02:
                start = noise.randrange(len(block))
                block = block[:start] + noise.randbytes(noise.randrange(1, 400)) + block[start + noise.randrange(400) :]
            out.write(block)
    return old, new


def ours(old: Path, new: Path, work: Path, rounds: int) -> Way:
    """As an upgrade bundle makes and takes it, with the digest of the result."""
    patch, out = work / "ours", work / "out"

    def take() -> None:
        with patch.open("rb") as stream, old.open("rb") as before, out.open("wb") as target:
            for piece in apply_patch(stream, before.fileno()):
                target.write(piece)
        assert digest_file(out) == expected

    expected = digest_file(new)
    made = median(lambda: make_patch(old, new, patch), rounds)
    return Way("sealift", patch.stat().st_size, made, median(take, rounds))


def zstd(old: Path, new: Path, work: Path, rounds: int) -> Way:
    """`zstd --patch-from`: the whole old file is the dictionary."""
    patch, out = work / "zst", work / "out"
    frame = f"--long={max(27, old.stat().st_size.bit_length() + 1)}"
    make = partial(call, "zstd", "-qf", _LEVEL, "-T2", frame, f"--patch-from={old}", new, "-o", patch)
    take = partial(call, "zstd", "-qdf", frame, f"--patch-from={old}", patch, "-o", out)
    return Way("zstd --patch-from -12", _size(patch, make), median(make, rounds), median(take, rounds))


def xdelta3(old: Path, new: Path, work: Path, rounds: int) -> Way:
    """`xdelta3` with its window over the whole old file."""
    patch, out = work / "xd3", work / "out"
    make = partial(call, "xdelta3", "-f", "-e", "-B", str(old.stat().st_size), "-s", old, new, patch)
    take = partial(call, "xdelta3", "-f", "-d", "-B", str(old.stat().st_size), "-s", old, patch, out)
    return Way("xdelta3", _size(patch, make), median(make, rounds), median(take, rounds))


def _size(patch: Path, make: partial[str]) -> int:
    make()
    return patch.stat().st_size


def ways(work: Path, megabytes: int, rounds: int) -> Iterator[Way]:
    """Every way, as it is measured; the last is what is copied when nothing is left out."""
    old, new = make_files(work, megabytes)
    yield ours(old, new, work, rounds)
    yield zstd(old, new, work, rounds)
    if shutil.which("xdelta3"):
        yield xdelta3(old, new, work, rounds)
    copied = median(lambda: call("cp", "--reflink=never", new, work / "out"), rounds)
    yield Way("the whole file, cp", new.stat().st_size, 0.0, copied)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the payload, one round")
    quick = parser.parse_args().quick
    if shutil.which("zstd") is None:
        raise SystemExit("missing: zstd. apt-get install zstd")
    with tempfile.TemporaryDirectory(prefix="sealift-bench-", dir="/var/tmp") as name:
        found = []
        for way in ways(Path(name), 40 if quick else 200, 1 if quick else 5):
            print(way.line(), flush=True)
            found.append(asdict(way))
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"ways": found, "memory-mb": memory}))


if __name__ == "__main__":
    main()
