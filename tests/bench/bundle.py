"""The bundle file beside its peers, in the same run: `python -m tests.bench.bundle [--quick]` prints a table and JSON.

The payload is 700 MB (--quick: 70 MB) of made-up packages, programs and text. Reading is timed in a process of its own
with the reader's modules; the start of a frozen runtime is not part of it. Peers: makeself and zstd (Debian packages of
these names), tar, cp, and SHA-256 on one core. A peer that is not installed stops the run.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from payload.trust import Keyring, PrivateKey
from payload.writer import BundleWriter
from templates.contexts import StubContext
from templates.render_stub import render_stub
from tests.paths import CHECKOUT
from tests.unit.payload.bundles import HELP, lock, manifest, runtime

_READ = """
import sys
from pathlib import Path
from payload.archive import open_bundle
from payload.events import NullSink
unverified = open_bundle(Path(sys.argv[1]))
bundle = unverified.verify(unverified.claimed.keyring)
if len(sys.argv) == 2:
    assert bundle.check(NullSink()) == ()
else:
    bundle.extract(Path(sys.argv[2]), sink=NullSink(), stage="x")
status = Path("/proc/self/status").read_text()
print(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")))
"""
_WORDS = ["server", "agent", "host", "storage", "router", "console", "package", "release", "journal", "rollback"]


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds of ours and of a peer (medians); the ratio is ours to the peer's."""

    what: str
    ours: float
    peer: str
    theirs: float

    def line(self) -> str:
        ratio = self.ours / self.theirs
        return f"{self.what:<28} {self.ours:9.3f} s   {self.peer:<22} {self.theirs:9.3f} s   {ratio:6.3f} x"


def make_payload(folder: Path, megabytes: int) -> Path:
    """Half packages (noise), a quarter programs, a quarter text: the same bytes every time."""
    noise = random.Random(7)
    programs = b"".join(path.read_bytes() for path in sorted(Path(sys.prefix).rglob("*.so"))[:200])
    for number in range(megabytes // 20):
        files = {
            f"repository/p{number}.rpm": noise.randbytes(10 << 20),
            f"tools/program{number}": programs[number * 4096 :][: 5 << 20],
            f"server/text{number}.txt": " ".join(noise.choices(_WORDS, k=700_000)).encode(),
        }
        for name, content in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(content)
    return folder


def build(source: Path, scratch: Path, target: Path) -> None:
    """Pack the payload behind a small stand-in for the runtime."""
    key = PrivateKey.generate()

    def stub(offset: int, size: int, digest: str) -> bytes:
        return render_stub(StubContext("app", "App", "1", target.name, "x86_64", offset, size, digest, 100, 2), 32768)

    with BundleWriter(
        target, stub=lambda part: stub(part.offset, part.size, part.digest[7:]), runtime=runtime(scratch)
    ) as writer:
        for path in sorted(path for path in source.rglob("*") if path.is_file()):
            name = str(path.relative_to(source))
            writer.add(path, path=name, component=name.split("/", maxsplit=1)[0])
        ring = Keyring(keys=(key.public,))
        writer.finish(manifest=manifest(), lock=lock(), created=0, keyring=ring, signers=[key], help=HELP)


def call(*argv: str | Path) -> str:
    """Run a command to its end; what it prints."""
    return subprocess.run(list(map(str, argv)), check=True, capture_output=True, text=True, cwd=CHECKOUT).stdout


def median(work: Callable[[], object], rounds: int, *, fresh: Path | None = None) -> float:
    """The median of some rounds; `fresh` is removed before each."""
    seconds = []
    for _ in range(rounds):
        if fresh is not None:
            shutil.rmtree(fresh, ignore_errors=True)
        begun = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - begun)
    return statistics.median(seconds)


def rows(work: Path, megabytes: int, rounds: int) -> Iterator[Row]:
    """Every comparison, as it is made."""
    source, ours, peer, tar = make_payload(work / "in", megabytes), work / "x.bin", work / "x.run", work / "x.tar.zst"
    out = work / "out"
    built = median(lambda: build(source, work, ours), rounds)
    self_made = median(lambda: call("makeself", "--zstd", "--quiet", source, peer, "bench", "true"), rounds)
    tarred = median(lambda: call("tar", "-C", source, "-I", "zstd -3 -T2", "-cf", tar, "."), rounds)
    yield Row("build", built, "makeself --zstd", self_made)
    yield Row("build", built, "tar + zstd -3 -T2", tarred)
    listed = median(lambda: call("sh", peer, "--list"), rounds)
    for option in ("--list", "--info"):
        yield Row(option, median(partial(call, "sh", ours, option), rounds), "makeself --list", listed)
    one: list[str | Path] = ["sh", ours, "--cat", "server/text1.txt"]
    yield Row("one file out", median(lambda: call(*one), rounds), "makeself --list", listed)
    check = median(lambda: call(sys.executable, "-c", _READ, ours), rounds)
    yield Row("--check", check, "makeself --check", median(lambda: call("sh", peer, "--check"), rounds))
    yield Row("--check", check, "sha256sum, one core", median(lambda: call("openssl", "sha256", ours), rounds))
    extract = median(lambda: call(sys.executable, "-c", _READ, ours, out), rounds, fresh=out)
    unpack: list[str | Path] = ["sh", peer, "--noexec", "--quiet", "--target", out]
    yield Row("full extract", extract, "makeself", median(lambda: call(*unpack), rounds, fresh=out))
    yield Row("full extract", extract, "cp -r", median(lambda: call("cp", "-r", source, out), rounds, fresh=out))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the payload, one round")
    quick = parser.parse_args().quick
    missing = [tool for tool in ("makeself", "zstd", "openssl") if shutil.which(tool) is None]
    if missing:
        raise SystemExit(f"missing: {', '.join(missing)}. apt-get install {' '.join(missing)}")
    with tempfile.TemporaryDirectory(prefix="sealift-bench-", dir="/var/tmp") as name:
        work, found = Path(name), []
        for row in rows(work, 70 if quick else 700, 1 if quick else 5):
            print(row.line(), flush=True)
            found.append(asdict(row))
        sizes = {each: (work / each).stat().st_size for each in ("x.bin", "x.run", "x.tar.zst")}
        memory = int(call(sys.executable, "-c", _READ, work / "x.bin")) // 1024
    print(json.dumps({"rows": found, "sizes": sizes, "check-memory-mb": memory}))


if __name__ == "__main__":
    main()
