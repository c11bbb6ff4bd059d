"""A bundle with the portable Python, in a root that has glibc 2.17, busybox, and no Python."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from builder.libc import libc_floor, minor
from builder.sources.wheel import Environment, lock_wheels
from builder.targets import wheel_target
from payload.archive import open_bundle
from payload.model import Index
from payload.store import Store
from tests.e2e.conftest import Bundles
from tests.e2e.product import log_in, wait_for_console
from tests.lab import Lab
from tests.lab.cache import Cache
from tests.lab.oldroot import entered, old_root

pytestmark = pytest.mark.timeout(1800)
"""On a new machine, the first test waits for a CPython to be built."""

RELEASE = "/opt/sealift/releases/1.1.0"
STACK = (
    "alembic", "ansible-core", "argon2-cffi", "dbos", "orjson", "prometheus-client", "prompt-toolkit",
    "psycopg[binary]", "sqlalchemy", "starlette", "uvicorn", "websockify",
)  # fmt: skip
"""What a management server is made of."""
_ENVIRONMENT = {"PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/root"}


@dataclass
class OldHost:
    """The root, entered anew by each command: in namespaces of its own, without a network."""

    root: Path

    def sh(self, script: str, *, code: int = 0) -> str:
        """Run a script of busybox's shell; returns what it printed."""
        apart = ("unshare", "--pid", "--fork", "--kill-child", "--net", "/usr/sbin/chroot", self.root)
        done = subprocess.run(
            [*apart, "/bin/sh", "-c", f"ip link set lo up && {{ {script}\n}}"],
            env=_ENVIRONMENT, capture_output=True, text=True, check=False, timeout=300,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def index(bundles: Bundles) -> Index:
    """What the bundle says that it holds."""
    return open_bundle(bundles["without-services"]).claimed


@pytest.fixture(scope="module")
def old(bundles: Bundles, tmp_path_factory: pytest.TempPathFactory) -> Iterator[OldHost]:
    """The root with the bundle and the vendor's key in it."""
    bundle = bundles["without-services"]
    with entered(old_root(Cache()), tmp_path_factory.mktemp("old") / "root") as root:
        (root / "etc/sealift/trusted-keys.d").mkdir(parents=True)
        shutil.copy(bundles.public_key, root / "etc/sealift/trusted-keys.d/vendor.pub")
        shutil.copy(bundle, root / "root/x.bin")
        yield OldHost(root)


@pytest.fixture(scope="module")
def installed(old: OldHost) -> OldHost:
    """The root after a fresh install."""
    old.sh("sh /root/x.bin -o")
    return old


def test_the_root_is_what_it_is_said_to_be(old: OldHost) -> None:
    assert "version 2.17," in old.sh("/lib64/libc.so.6")
    assert "/bin/busybox" in old.sh("readlink -f /bin/sh")
    assert old.sh("find / -xdev -name 'python*' -o -xdev -name 'libpython*'") == ""


def test_the_bundle_says_what_it_needs(index: Index) -> None:
    assert index.libc == "2.17"
    assert index.lock.python is not None
    assert (index.lock.python.libc, str(index.lock.python.version)[:5]) == ("2.17", "3.13.")


def test_the_runtime_starts_checks_and_examines(old: OldHost) -> None:
    assert old.sh("sh /root/x.bin --version") == "sealift 1.1.0\n"
    assert "every file is intact" in old.sh("sh /root/x.bin --check")
    assert "fits" in old.sh("sh /root/x.bin -o --preflight")
    assert f"unpack the product's own Python into {RELEASE}/python" in old.sh("sh /root/x.bin -o --dry-run")


def test_the_product_is_installed_and_serves(installed: OldHost) -> None:
    assert installed.sh(f"readlink -f {RELEASE}/venv/bin/python") == f"{RELEASE}/python/bin/python3.13\n"
    assert "1.1.0" in installed.sh("sealift-ctl status")
    healthy = installed.sh(
        "sealift-server --config /etc/sealift/server.toml serve >/tmp/log 2>&1 & "
        "for i in $(seq 100); do wget -qO- http://127.0.0.1:8080/healthz 2>/dev/null && exit 0; sleep 0.2; done; "
        "cat /tmp/log; exit 1"
    )
    assert '"version":"1.1.0"' in healthy.replace(" ", "")


def test_the_agents_bring_the_same_python(installed: OldHost, index: Index) -> None:
    assert index.lock.python is not None
    sums = installed.sh(f"cd {RELEASE} && sha256sum tools/python.tar.gz agents/*/python.tar.gz").splitlines()
    assert len(sums) == 1 + len(index.manifest.agents)
    assert {f"sha256:{line.split()[0]}" for line in sums} == {index.lock.python.digest}


def test_an_install_that_was_damaged_is_repaired(installed: OldHost) -> None:
    installed.sh(f"rm {RELEASE}/python/bin/python3.13")
    installed.sh("sealift-server --help", code=127)
    installed.sh("sh /root/x.bin -o")
    assert "sealift-server" in installed.sh("sealift-server --help")


def test_no_wheel_needs_a_newer_c_library(index: Index) -> None:
    store = Store()
    compiled = [wheel for wheel in index.lock.wheels if not wheel.filename.endswith("-any.whl")]
    assert len(compiled) >= 3
    for wheel in compiled:
        with zipfile.ZipFile(store.path(wheel.digest)) as content:
            modules = [name for name in content.namelist() if ".so" in name]
            floor = libc_floor((name, io.BytesIO(content.read(name))) for name in modules)
        assert minor(floor) <= 17, wheel.filename


def test_what_a_server_is_made_of_can_be_had_for_it(index: Index, tmp_path: Path) -> None:
    with wheel_target(index.manifest, index.lock.python, Store()) as target:
        wheels = lock_wheels(Environment("server", STACK), folder=tmp_path, target=target, store=Store())
    names = {wheel.name for wheel in wheels}
    assert {*(name.partition("[")[0] for name in STACK), "psycopg-binary"} <= names
    tags = [re.findall(r"manylinux_2_(\d+)_x86_64", wheel.filename) for wheel in wheels]
    assert max(min(map(int, found)) for found in tags if found) <= 17
    assert all("cp313" in wheel.filename or "abi3" in wheel.filename or "-none-" in wheel.filename for wheel in wheels)


def test_no_program_inherits_the_librarys_path_of_the_runtime(bundles: Bundles, tmp_path: Path) -> None:
    """The real frozen runtime, its children watched by strace."""
    trace = tmp_path / "trace"
    watched = ("strace", "-f", "-v", "-s", "8192", "-e", "trace=execve", "-o", trace)
    runtime = (bundles["without-services"], "-o", "--preflight", "--key", bundles.public_key)
    subprocess.run([*watched, "sh", *runtime], capture_output=True, check=False, timeout=120)
    calls = re.findall(r'execve\("([^"]+)", \[.*?\], \[(.*?)\]\) = 0', trace.read_text())
    own = [environment for program, environment in calls if program.endswith("/sealift-runtime")]
    by_runtime = calls[max(number for number, (name, _) in enumerate(calls) if name.endswith("/sealift-runtime")) + 1 :]
    others = {program: environment for program, environment in by_runtime if "LC_ALL=C.UTF-8" in environment}
    assert any("LD_LIBRARY_PATH=" in environment for environment in own), "PyInstaller sets none any more"
    assert any(program.endswith("/getent") for program in others), sorted(others)
    for program, environment in others.items():
        assert not re.search(r"LD_LIBRARY_PATH|_PYI_|_MEI|PYTHON", environment), f"{program}: {environment}"


def test_a_deployed_agent_runs_by_the_bundled_python(lab: Lab, bundles: Bundles, name: str) -> None:
    """On a host with services: the server and the agent that it deploys leave the host's Python alone."""
    host = lab.boot(name)
    host.put(bundles.public_key, "/etc/sealift/trusted-keys.d/vendor.pub", 0o644)
    host.put(bundles["portable"], "/root/x.bin")
    host.run(["sh", "x.bin", "-o"])
    log_in(host)
    wait_for_console(host)
    for unit in ("sealift-server", "sealift-console-agent"):
        pid = host.sh(f"systemctl show --property MainPID --value {unit}").strip()
        program = host.sh(f"readlink /proc/{pid}/exe").strip()
        assert program.endswith("/python/bin/python3.13"), f"{unit}: {program}"
    lab.drop(host)
