"""The bundle file beside its peers, in the same run: `python -m tests.bench.bundle [--quick]` prints a table and JSON.

Payload (a) is 700 MB (--quick: 70 MB) of made-up packages, programs and text, read in a process of its own with the
reader's modules; the start of a frozen runtime is not part of it. Payload (b) is the reference bundle, as an operator
runs it: its start is part of it. Then extraction where a file system shares blocks, the time to the first step of an
install, and the memory at 8 GB (not with --quick). Medians of 5 rounds (--quick: 1). Needs root.

Peers: makeself and zstd (Debian packages of these names), tar, cp, and SHA-256 on one core. A peer that is not
installed stops the run.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from tests.bench import bundle_memory, bundle_start, bundle_xfs
from tests.bench.measure import Row, build, call, make_payload, median
from tests.e2e.conftest import Bundles

_READ: tuple[str | Path, ...] = (sys.executable, "-m", "tests.bench.reading")
_PEERS = ("makeself", "zstd", "openssl", "mkfs.xfs")
_ROUNDS = 5
_RELEASE = "1.0.0"


def rows(name: str, source: Path, work: Path, rounds: int, bundles: Bundles | None = None) -> Iterator[Row]:
    """Every comparison on the files in `source`, as it is made; `work` has the archives afterwards. With `bundles`, the
    one of the reference product has the same files, and answers by itself."""
    ours, peer, tar, out = work / "x.bin", work / "x.run", work / "x.tar.zst", work / "out"
    built = median(lambda: build(source, work, ours), rounds)
    self_made = median(lambda: call("makeself", "--zstd", "--quiet", source, peer, "bench", "true"), rounds)
    tarred = median(lambda: call("tar", "-C", source, "-I", "zstd -3 -T2", "-cf", tar, "."), rounds)
    yield Row(f"{name} build", built, "makeself --zstd", self_made, 0.5)
    yield Row(f"{name} build", built, "tar + zstd -3 -T2", tarred, 1.2)
    shown, check_it, unpack_it = ours, [*_READ, ours], [*_READ, ours, out]
    if bundles is not None:
        shown = bundles[_RELEASE]
        check_it = ["sh", shown, "--check", "--key", bundles.public_key]
        unpack_it = ["sh", shown, "--extract", out, "--key", bundles.public_key]
    listed = median(lambda: call("sh", peer, "--list"), rounds)
    for words in (["--list"], ["--info"], ["--cat", text_in(source)]):
        shown_in = median(partial(call, "sh", shown, *words), rounds)
        yield Row(f"{name} {words[0]}", shown_in, "makeself --list", listed, 1 / 30)
    check = median(lambda: call(*check_it), rounds)
    yield Row(f"{name} --check", check, "makeself --check", median(lambda: call("sh", peer, "--check"), rounds), 1 / 8)
    one_core = median(lambda: call("openssl", "sha256", shown), rounds)
    yield Row(f"{name} --check", check, "sha256, one core", one_core, 1 / 1.6)
    extract = median(lambda: call(*unpack_it), rounds, fresh=out)
    unpack = partial(call, "sh", peer, "--noexec", "--quiet", "--target", out)
    yield Row(f"{name} full extract", extract, "makeself", median(unpack, rounds, fresh=out), 1 / 3)
    copied = median(lambda: call("cp", "-r", source, out), rounds, fresh=out)
    yield Row(f"{name} full extract", extract, "cp -r", copied, 1.3)


def text_in(source: Path) -> str:
    """The path of a file that is text, or the one that lies there first."""
    files = sorted(path for path in source.rglob("*") if path.is_file())
    return str(next((path for path in files if path.suffix == ".txt"), files[0]).relative_to(source))


def sizes(work: Path) -> dict[str, int]:
    """Bytes of ours and of the peers' archives."""
    return {each: (work / each).stat().st_size for each in ("x.bin", "x.run", "x.tar.zst")}


def every_row(work: Path, quick: bool, found: dict[str, object]) -> Iterator[Row]:
    """The whole table; what is no comparison of times goes into `found`."""
    rounds = 1 if quick else _ROUNDS
    source = make_payload(work / "in", 70 if quick else 700)
    yield from rows("(a)", source, work, rounds)
    found["sizes"] = sizes(work)
    found["check-memory-mb"] = int(call(*_READ, work / "x.bin")) // 1024
    yield from bundle_xfs.rows(work / "x.bin", source, rounds)
    bundles = Bundles(work)
    bundles.prepare()
    reference = work / "reference"
    call("sh", bundles[_RELEASE], "--extract", reference, "--key", bundles.public_key)
    yield from rows("(b)", reference, work, rounds, bundles)
    found["reference-sizes"] = sizes(work)
    yield from bundle_start.rows(bundles, reference, work, 70 if quick else 700, rounds)
    if not quick:
        shutil.rmtree(source)
        found["memory-mb-at-8-gb"] = bundle_memory.measure(work / "large", gigabytes=8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the payload, one round, no 8 GB")
    quick = parser.parse_args().quick
    missing = [tool for tool in _PEERS if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)}. apt-get install makeself zstd openssl xfsprogs")
    table: list[Row] = []
    found: dict[str, object] = {}
    with tempfile.TemporaryDirectory(prefix="sealift-bench-", dir="/var/tmp") as name:
        for row in every_row(Path(name), quick, found):
            print(row.line(), flush=True)
            table.append(row)
    print(json.dumps({"rows": [asdict(row) | {"ratio": row.ratio, "held": row.held} for row in table], **found}))


if __name__ == "__main__":
    main()
