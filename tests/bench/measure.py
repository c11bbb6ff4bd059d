"""What the benches of the bundle file share: rows of a table, commands, medians, and a payload."""

from __future__ import annotations

import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from payload.signing import PrivateKey
from payload.trust import Keyring
from payload.writer import BundleWriter
from templates.contexts import StubContext
from templates.render_stub import render_stub
from tests.paths import CHECKOUT
from tests.unit.payload.bundles import HELP, lock, manifest, runtime

_WORDS = ["server", "agent", "host", "storage", "router", "console", "package", "release", "journal", "rollback"]


@dataclass(frozen=True, slots=True)
class Row:
    """Seconds of ours and of a peer (medians); the ratio is ours to the peer's, `bound` what it is to be at most."""

    what: str
    ours: float
    peer: str
    theirs: float
    bound: float | None = None

    @property
    def ratio(self) -> float:
        """Ours by the peer's."""
        return self.ours / self.theirs

    @property
    def held(self) -> bool:
        """Is the ratio within its bound? Without one, there is nothing to reach."""
        return self.bound is None or self.ratio <= self.bound

    def line(self) -> str:
        """For people."""
        bound = "" if self.bound is None else f"(bound {self.bound:.3g}) {'ok' if self.held else 'MISSED'}"
        times = f"{self.ours:9.3f} s   {self.peer:<26} {self.theirs:9.3f} s   {self.ratio:6.3f} x"
        return f"{self.what:<34} {times}  {bound}".rstrip()


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
    """Pack the files of a folder behind a small stand-in for the runtime."""
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
