"""The lab, the bundles, and hosts with the product on them, shared by the end-to-end tests."""

from __future__ import annotations

import fcntl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.lab import Host, Lab, Snapshot
from tests.reference import RELEASES

SEALIFT = Path(sys.executable).with_name("sealift")


def sealift(*words: str | Path, cwd: Path) -> str:
    """Run the builder's command line; returns what it printed."""
    done = subprocess.run([SEALIFT, *words], cwd=cwd, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass
class Bundles:
    """Bundles of the reference product, each built once by the real command line."""

    folder: Path

    @property
    def key(self) -> Path:
        """The private key that signs them; its public half lies beside it as release.pub."""
        return self.folder / "release.pem"

    @property
    def public_key(self) -> Path:
        """What the operators of a site get."""
        return self.key.with_suffix(".pub")

    def prepare(self) -> None:
        """Make the key pair, once."""
        with self._alone("key"):
            if not self.key.exists():
                sealift("keygen", self.key, cwd=self.folder)

    def __getitem__(self, name: str) -> Path:
        with self._alone(name):
            folder = self.folder / name
            if not folder.exists():
                folder.mkdir()
                tree = RELEASES[name](folder)
                sealift("lock", tree / "bundle.toml", cwd=folder)
                sealift("build", tree / "bundle.toml", "--key", self.key, cwd=folder)
            (bundle,) = (folder / "dist").glob("*.bin")
            return bundle

    def upgrade(self, base: str, name: str) -> Path:
        """The bundle with which `base` becomes `name`, and that holds only what `base` lacks."""
        old, full = self[base], self[name]
        with self._alone(f"{base}-{name}"):
            path = self.folder / f"{base}-{name}.bin"
            if not path.exists():
                manifest = full.parents[1] / "management/bundle.toml"
                sealift("build", manifest, "--base", old, "--out", path, "--key", self.key, cwd=self.folder)
            return path

    def split(self, name: str, size: str) -> tuple[Path, ...]:
        """The same bundle in parts of at most `size`: the first file, then its parts in order."""
        full = self[name]
        with self._alone(f"{name}-split"):
            folder = self.folder / f"{name}-split"
            if not folder.exists():
                folder.mkdir()
                manifest, out = full.parents[1] / "management/bundle.toml", folder / full.name
                sealift("build", manifest, "--volume-size", size, "--out", out, "--key", self.key, cwd=self.folder)
            return tuple(sorted(folder.iterdir()))

    @contextmanager
    def _alone(self, what: str) -> Iterator[None]:
        """One worker of the test run at a time makes `what`."""
        with (self.folder / f".{what}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Bundles:
    """Bundles by name: see `tests.reference.RELEASES`. The workers of a run share them."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if hasattr(request.config, "workerinput") else base) / "bundles"
    folder.mkdir(exist_ok=True)
    made = Bundles(folder)
    made.prepare()
    return made


@pytest.fixture(scope="session")
def lab() -> Iterator[Lab]:
    """The lab's network. Hosts boot in half a second."""
    with Lab.open() as opened:
        yield opened


@pytest.fixture(scope="session")
def provided(lab: Lab, bundles: Bundles) -> Snapshot:
    """A bare host with the vendor's public key, as an administrator lays it there, and both bundles in /root."""
    host = lab.boot("provided")
    host.put(bundles.public_key, "/etc/sealift/trusted-keys.d/vendor.pub", 0o644)
    for version in ("1.0.0", "1.1.0"):
        host.put(bundles[version], f"/root/sealift-installer-{version}.bin")
    snapshot = host.snapshot()
    host.power_cut()
    return snapshot


@pytest.fixture(scope="session")
def installed(lab: Lab, provided: Snapshot) -> Snapshot:
    """A host on which 1.0.0 is installed and runs."""
    host = lab.boot("installed", snapshot=provided)
    host.run(["bash", "sealift-installer-1.0.0.bin", "-o"])
    snapshot = host.snapshot()
    host.power_cut()
    return snapshot


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A host name that no other test uses."""
    return f"h{abs(hash(request.node.nodeid)) % 10**8}"


@pytest.fixture
def bare(lab: Lab, provided: Snapshot, name: str) -> Iterator[Host]:
    """A host without the product."""
    host = lab.boot(name, snapshot=provided)
    yield host
    lab.drop(host)


@pytest.fixture
def running(lab: Lab, installed: Snapshot, name: str) -> Iterator[Host]:
    """A host on which 1.0.0 runs."""
    host = lab.boot(name, snapshot=installed)
    host.sh("for i in $(seq 600); do systemctl is-active -q sealift-server && exit 0; sleep 0.1; done; exit 1")
    yield host
    lab.drop(host)
