"""Upgrade bundles beside their peers: `python -m tests.bench.upgrade [--quick]` prints tables and JSON.

Two changes from an old state to a new one, 200 MB each (--quick: 40 MB) of made-up packages, programs and text:

- *one file*: bytes are rewritten, inserted and removed in two of a hundred blocks. Ours is a patch, as an upgrade
  bundle has it.
- *a release*: of its files four fifths stay, one fifth changes in the same way, and one is new. Ours is an upgrade
  bundle that is built from the two, and its result laid out; peers get a tar archive of each.

Peers: zstd --patch-from, at our level; xdelta3 with its window over the whole old state; casync with the old state as
its seed, where what travels is the index and those chunks that the old state has not. Applying is timed beside `cp` of
the result. A peer that is not installed stops the run. The ratios are to the smallest peer, and to the copy.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from builder.delta import reduce
from builder.pack import add_tree
from builder.stage import Staged
from payload.archive import VerifiedBundle, open_bundle
from payload.borrow import Takeover, borrowed_entries, write_digested
from payload.digest import digest_file
from payload.events import NullSink
from payload.format import STUB_SIZE
from payload.patch import apply_patch, make_patch
from payload.signing import PrivateKey
from payload.trust import Keyring
from payload.writer import BundleWriter
from tests.bench.measure import call, make_payload, median
from tests.unit.payload.bundles import lock, manifest, runtime

_LEVEL = "-12"
_TOOLS = ("zstd", "xdelta3", "casync")
_KEY = PrivateKey.generate()
_APPLY = """
import sys
from pathlib import Path
from payload.patch import apply_patch
with open(sys.argv[1], "rb") as patch, open(sys.argv[2], "rb") as old:
    assert sum(len(piece) for piece in apply_patch(patch, old.fileno())) == int(sys.argv[3])
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way: bytes that travel, seconds to make and to apply (medians); MB of a process that applies, where known."""

    what: str
    name: str
    size: int
    make: float
    apply: float
    memory: int | None = None

    def line(self) -> str:
        return f"{self.name:<22} {self.size:>12} bytes   make {self.make:8.3f} s   apply {self.apply:8.3f} s"


def altered(content: bytes, noise: random.Random) -> bytes:
    """Two of a hundred blocks of 64 KiB have some bytes rewritten, inserted or removed."""
    blocks = []
    for offset in range(0, len(content), 1 << 16):
        block = content[offset : offset + (1 << 16)]
        if noise.random() < 0.02:
            start = noise.randrange(len(block))
            block = block[:start] + noise.randbytes(noise.randrange(1, 400)) + block[start + noise.randrange(400) :]
        blocks.append(block)
    return b"".join(blocks)


def make_states(folder: Path, megabytes: int) -> tuple[Path, Path]:
    """The folders of the old and the new state: the same bytes every time."""
    old = make_payload(folder / "old", megabytes)
    new, noise = Path(shutil.copytree(old, folder / "new")), random.Random(11)
    for number, path in enumerate(sorted(path for path in new.rglob("*") if path.is_file())):
        if number % 5 == 2:
            path.write_bytes(altered(path.read_bytes(), noise))
    (new / "server/added.bin").write_bytes(noise.randbytes(1 << 20))
    return old, new


def one_file(work: Path, megabytes: int, rounds: int) -> Iterator[Way]:
    """Every way from one large file to the next."""
    old, new, what = work / "old.file", work / "new.file", "one file"
    with old.open("wb") as out:
        for path in sorted(make_payload(work / "in", megabytes).rglob("*")):
            if path.is_file():
                out.write(path.read_bytes())
    shutil.rmtree(work / "in")
    new.write_bytes(altered(old.read_bytes(), random.Random(11)))
    patch, out_file, expected = work / "ours", work / "out", digest_file(new)

    def take() -> None:
        out_file.unlink(missing_ok=True)
        with patch.open("rb") as stream, old.open("rb") as before:
            assert write_digested(out_file, apply_patch(stream, before.fileno())) == expected

    made = median(lambda: make_patch(old, new, patch), rounds)
    yield Way(what, "sealift", patch.stat().st_size, made, median(take, rounds), apply_memory(patch, old, new))
    yield from peers(what, old, new, work, rounds)
    copied = median(lambda: call("cp", "--reflink=never", new, out_file), rounds)
    yield Way(what, "the whole file, cp", new.stat().st_size, 0.0, copied)


def apply_memory(patch: Path, old: Path, new: Path) -> int:
    """Most memory of a process that does nothing but apply, in MB."""
    return int(call(sys.executable, "-c", _APPLY, patch, old, str(new.stat().st_size))) // 1024


def release(work: Path, megabytes: int, rounds: int) -> Iterator[Way]:
    """Every way from one release to the next."""
    what, (old, new) = "a release", make_states(work, megabytes)
    base, made, out = work / "old.bin", work / "upgrade.bin", work / "taken"
    write_bundle(work, base, old, ())
    known = opened(base)
    seconds = median(lambda: write_bundle(work, made, new, (known,)), rounds)
    taken = median(lambda: lay_out(made, old, out), rounds, fresh=out)
    assert {path.relative_to(out): digest_file(path) for path in files_of(out)} == {
        path.relative_to(new): digest_file(path) for path in files_of(new)
    }
    size = made.stat().st_size - STUB_SIZE - (work / "runtime.tar.gz").stat().st_size
    yield Way(what, "sealift", size, seconds, taken)
    for folder in (old, new):
        call("tar", "--sort=name", "--mtime=@0", "-C", folder, "-cf", folder.with_suffix(".tar"), ".")
    yield from peers(what, old.with_suffix(".tar"), new.with_suffix(".tar"), work, rounds)
    copied = median(lambda: call("cp", "-r", "--reflink=never", new, out), rounds, fresh=out)
    yield Way(what, "the whole release, cp", sum(path.stat().st_size for path in files_of(new)), 0.0, copied)


def files_of(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def write_bundle(work: Path, target: Path, source: Path, bases: Iterable[VerifiedBundle]) -> None:
    """Bundle a folder behind a small stand-in for the runtime, without what the bases have."""
    names = [(path, str(path.relative_to(source))) for path in files_of(source)]
    tree = [Staged(path, name, "tools") for path, name in names]
    with tempfile.TemporaryDirectory(dir=work) as scratch:
        reduced = reduce(tree, tuple(bases), scratch=Path(scratch), sink=NullSink())
        with BundleWriter(target, stub=lambda section: b"#!/bin/sh\n", runtime=runtime(work)) as writer:
            add_tree(writer, tree, reduced, NullSink())
            writer.finish(
                manifest=manifest(),
                lock=lock(),
                created=0,
                keyring=Keyring(keys=(_KEY.public,)),
                signers=[_KEY],
                help="help",
                bases=reduced.bases,
            )


def opened(path: Path) -> VerifiedBundle:
    unverified = open_bundle(path)
    return unverified.known(unverified.digest)


def lay_out(bundle: Path, old: Path, new: Path) -> None:
    """What staging does: unpack what is inside, take the rest from the old release, every byte verified."""
    held = opened(bundle)
    outside = borrowed_entries(held)
    held.extract(new, select=lambda entry: entry.path not in outside, sink=NullSink(), stage="x")
    Takeover(held, 0, old, new).run(lambda entry: entry.path in outside, sink=NullSink(), stage="x")


def peers(what: str, old: Path, new: Path, work: Path, rounds: int) -> Iterator[Way]:
    """The peers' ways from one file to the other."""
    out = work / "peer.out"
    patch, frame = work / "zst", f"--long={max(27, old.stat().st_size.bit_length() + 1)}"
    make = partial(call, "zstd", "-qf", _LEVEL, "-T2", frame, f"--patch-from={old}", new, "-o", patch)
    take = partial(call, "zstd", "-qdf", frame, f"--patch-from={old}", patch, "-o", out)
    yield _measured(Way(what, "zstd --patch-from -12", 0, 0, 0), make, take, lambda: patch.stat().st_size, rounds)
    delta, window = work / "xd3", ("-B", str(old.stat().st_size))
    make = partial(call, "xdelta3", "-f", "-e", "-9", *window, "-s", old, new, delta)
    take = partial(call, "xdelta3", "-f", "-d", *window, "-s", old, delta, out)
    yield _measured(Way(what, "xdelta3 -9", 0, 0, 0), make, take, lambda: delta.stat().st_size, rounds)
    yield _casync(what, old, new, work, rounds)


def _casync(what: str, old: Path, new: Path, work: Path, rounds: int) -> Way:
    stores, index = {name: work / f"{name}.castr" for name in ("old", "new", "lacking")}, work / "new.caibx"
    call("casync", "make", f"--store={stores['old']}", work / "old.caibx", old)

    def make() -> None:
        for name in ("new", "lacking"):
            shutil.rmtree(stores[name], ignore_errors=True)
        call("casync", "make", f"--store={stores['new']}", index, new)
        for chunk in files_of(stores["new"]):
            part = chunk.relative_to(stores["new"])
            if not (stores["old"] / part).exists():
                (target := stores["lacking"] / part).parent.mkdir(parents=True, exist_ok=True)
                target.hardlink_to(chunk)

    def take() -> None:
        (work / "cas.out").unlink(missing_ok=True)
        call("casync", "extract", f"--store={stores['lacking']}", f"--seed={old}", index, work / "cas.out")

    def size() -> int:
        return index.stat().st_size + sum(path.stat().st_size for path in files_of(stores["lacking"]))

    return _measured(Way(what, "casync", 0, 0, 0), make, take, size, rounds)


def _measured(
    way: Way, make: Callable[[], object], take: Callable[[], object], size: Callable[[], int], rounds: int
) -> Way:
    made = median(make, rounds)
    return Way(way.what, way.name, size(), made, median(take, rounds))


def ratios(ways: list[Way]) -> dict[str, float]:
    """Ours to the smallest peer, and to copying the result."""
    ours, *others, copy = ways
    return {"size": ours.size / min(each.size for each in others), "apply": ours.apply / copy.apply}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a fifth of the payload, one round")
    quick = parser.parse_args().quick
    if missing := [tool for tool in _TOOLS if shutil.which(tool) is None]:
        raise SystemExit(f"missing: {', '.join(missing)}. apt-get install {' '.join(missing)}")
    found, compared = [], {}
    for kind in (one_file, release):
        with tempfile.TemporaryDirectory(prefix="sealift-bench-", dir="/var/tmp") as name:
            ways: list[Way] = []
            for way in kind(Path(name), 40 if quick else 200, 1 if quick else 5):
                if not ways:
                    print(way.what, flush=True)
                print(f"  {way.line()}", flush=True)
                ways.append(way)
            compared[ways[0].what] = ratios(ways)
            size, apply = compared[ways[0].what].values()
            print(f"  size {size:.2f} x the smallest peer (to reach: 1.1), apply {apply:.2f} x cp (to reach: 2)")
            found += [asdict(way) for way in ways]
    print(json.dumps({"ways": found, "ratios": compared}))


if __name__ == "__main__":
    main()
