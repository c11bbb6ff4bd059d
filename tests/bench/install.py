"""Installs beside a plain shell script: `python -m tests.bench.install [--quick]` prints a table and JSON.

Fresh install, upgrade and rollback of the reference product, on lab hosts without a network. The peer is
install_peer.sh, which calls the same dnf, pip and systemctl for the same files, and can undo nothing. Away is the
longest time during which the product did not answer. Memory is that of the largest process. Medians of 3 rounds
(--quick: 1). Needs root.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.e2e.conftest import Bundles
from tests.e2e.state import settle
from tests.lab import Host, Lab, Snapshot
from tests.paths import CHECKOUT

_VERSIONS = ("1.0.0", "1.1.0")
_PEER = "/root/peer"
_UNIT, _CONFIG, _IMAGES = (
    "/etc/systemd/system/sealift-server.service",
    "/etc/sealift/server.toml",
    "/var/lib/sealift/images/images.json",
)
_BOUND = 1.15
_NOTHING_TO_DO_SECONDS, _AWAY_SECONDS = 1.5, 5.0
_ROUNDS = 3

_REPOSITORY_UNIT = """[Service]
ExecStart=/usr/bin/python3 -m http.server --bind 127.0.0.1 --directory /opt/sealift/current/repository 8090
User=sealift
[Install]
WantedBy=multi-user.target
"""
"""How the peer serves the packages to other hosts."""

# runs a command and asks the product all the time whether it answers
_METER = """
import json, resource, subprocess, sys, threading, time, urllib.request
answers, over = [], threading.Event()
def ask():
    while not over.is_set():
        try:
            urllib.request.urlopen("http://127.0.0.1:8080/healthz", timeout=1).read()
            answers.append(time.monotonic())
        except OSError:
            pass
        time.sleep(0.02)
watch = threading.Thread(target=ask)
watch.start()
began = time.monotonic()
done = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
seconds = time.monotonic() - began
over.set()
watch.join()
away = max((b - a for a, b in zip(answers, answers[1:])), default=0.0)
memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
if done.returncode:
    sys.exit(done.stderr)
print(json.dumps({"seconds": seconds, "away": away, "memory": memory}))
"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One command on one host: its seconds, how long the product was away, the largest process in MB."""

    seconds: float
    away: float
    memory: float


@dataclass(frozen=True, slots=True)
class Row:
    """What is compared: our figure, the peer's (None: there is no peer), and the bound, on their ratio or on ours."""

    what: str
    unit: str
    ours: float
    peer: float | None
    bound: float

    @property
    def ratio(self) -> float | None:
        """Ours by the peer's."""
        return None if self.peer is None else self.ours / self.peer

    @property
    def held(self) -> bool:
        """Is the figure within its bound?"""
        return (self.ours if self.ratio is None else self.ratio) <= self.bound

    def line(self) -> str:
        peer = " " * 22 if self.ratio is None else f"{self.peer:8.2f} {self.unit:<2} = {self.ratio:5.2f} x"
        verdict = "ok" if self.held else "MISSED"
        return f"{self.what:<24} {self.ours:8.2f} {self.unit:<2} {peer}  (bound {self.bound:g}) {verdict}"


OURS: dict[str, tuple[str, ...]] = {
    "fresh": ("bash", "sealift-installer-1.0.0.bin", "-o"),
    "again": ("bash", "sealift-installer-1.0.0.bin", "-o"),
    "upgrade": ("bash", "sealift-installer-1.1.0.bin", "-u"),
    "rollback": ("sealift-ctl", "rollback", "-y"),
}
PEER: dict[str, tuple[str, ...]] = {
    "fresh": ("sh", f"{_PEER}/install_peer.sh", "fresh", "1.0.0"),
    "upgrade": ("sh", f"{_PEER}/install_peer.sh", "upgrade", "1.1.0"),
    "rollback": ("sh", f"{_PEER}/install_peer.sh", "rollback", "1.0.0"),
}


def measure(host: Host, words: tuple[str, ...]) -> Measured:
    """Run a command in the host; the product answers afterwards."""
    found = json.loads(host.run(["python3", "-c", _METER, *words]).stdout)
    settle(host)
    return Measured(**found)


@contextmanager
def hosts(lab: Lab, bundles: Bundles, work: Path) -> Iterator[tuple[Host, Snapshot]]:
    """A bare host with everything that both ways need, and its snapshot."""
    host = lab.boot("bench")
    host.put(bundles.public_key, "/etc/sealift/trusted-keys.d/vendor.pub", 0o644)
    for version in _VERSIONS:
        host.put(bundles[version], f"/root/sealift-installer-{version}.bin")
    _make_peer(host, bundles, work)
    yield host, host.snapshot("bare")
    lab.drop(host)


def _make_peer(host: Host, bundles: Bundles, work: Path) -> None:
    """Lay the peer's files on the host: each release's own, and what installing it renders."""
    bare = host.snapshot("to-render")
    for version, words in zip(_VERSIONS, (OURS["fresh"], OURS["upgrade"]), strict=True):
        folder = work / "peer" / version
        folder.mkdir(parents=True)
        host.run(words)
        for path in (_UNIT, _CONFIG, _IMAGES):
            host.get(path, folder / Path(path).name)
        unpacked = work / f"{version}-files"
        extract: list[str | Path] = ["bash", bundles[version], "--extract", unpacked, "--key", bundles.public_key]
        subprocess.run(extract, check=True, capture_output=True)
        with tarfile.open(folder / "release.tar", "w") as archive:
            archive.add(unpacked, ".")
        keys = ["repository/RPM-GPG-KEY-sealift", *(f"keys/{path.name}" for path in (unpacked / "keys").iterdir())]
        release = f"/opt/sealift/releases/{version}"
        (folder / "sealift-repository.service").write_text(_REPOSITORY_UNIT)
        (folder / "peer.repo").write_text(
            f"[peer]\nname=peer\nbaseurl=file://{release}/repository\ngpgcheck=1\nrepo_gpgcheck=1\n"
            f"gpgkey={' '.join(f'file://{release}/{key}' for key in keys)}\n"
        )
    host.restore(bare)
    for version in _VERSIONS:
        host.put(work / "peer" / version, f"{_PEER}/{version}")
    host.put(CHECKOUT / "tests/bench/install_peer.sh", f"{_PEER}/install_peer.sh")


def rounds(host: Host, bare: Snapshot, way: dict[str, tuple[str, ...]], count: int) -> dict[str, Measured]:
    """Every command of a way, one after another on a bare host, `count` times: the medians."""
    found: dict[str, list[Measured]] = {what: [] for what in way}
    for _ in range(count):
        host.restore(bare)
        for what, words in way.items():
            found[what].append(measure(host, words))
            print(f"  {' '.join(words)}: {found[what][-1].seconds:.2f} s", flush=True)
    return {what: _median(each) for what, each in found.items()}


def _median(each: list[Measured]) -> Measured:
    return Measured(
        statistics.median(one.seconds for one in each),
        statistics.median(one.away for one in each),
        max(one.memory for one in each),
    )


def rows(ours: dict[str, Measured], peer: dict[str, Measured]) -> list[Row]:
    """The table."""
    found = [Row(what, "s", ours[what].seconds, peer[what].seconds, _BOUND) for what in PEER]
    found.append(Row("nothing to do", "s", ours["again"].seconds, None, _NOTHING_TO_DO_SECONDS))
    found.append(Row("away while upgrading", "s", ours["upgrade"].away, None, _AWAY_SECONDS))
    found.append(Row("memory, fresh install", "MB", ours["fresh"].memory, peer["fresh"].memory, _BOUND))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round")
    count = 1 if parser.parse_args().quick else _ROUNDS
    with tempfile.TemporaryDirectory(prefix="sealift-bench-", dir="/var/tmp") as name:
        bundles = Bundles(Path(name))
        bundles.prepare()
        with Lab.open() as lab, hosts(lab, bundles, Path(name)) as (host, bare):
            ours, peer = rounds(host, bare, OURS, count), rounds(host, bare, PEER, count)
    table = rows(ours, peer)
    for row in table:
        print(row.line(), flush=True)
    print(json.dumps({"rows": [asdict(row) | {"ratio": row.ratio, "held": row.held} for row in table]}))


if __name__ == "__main__":
    main()
