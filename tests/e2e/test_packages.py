"""Packages out of the bundle, for this host and for others; transactions that would do harm, fail, or are cut off."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from payload.archive import open_bundle
from repos.createrepo import create_repository
from tests.e2e.conftest import sealift
from tests.lab import Host, Lab
from tests.lab.cache import Cache
from tests.lab.signing import PUBLIC_NAME, key_folder, open_signer
from tests.unit.repos.packages import Spec, build_rpm

MANIFEST = """
[product]
name = "stock"
version = "{version}"
title = "Stock"
upgrades-from = "<{version}"

[[targets]]
os = ["sealift-lab"]
python = ">=3.11"

[repository]
packages = [{packages}]
{serve}

[[repository.upstreams]]
id = "base"
url = "./packages"
gpg-keys = ["key.asc"]
signed-metadata = false

[server]
requirements = ["packaging"]
"""
_BALLAST_MB = 120
_DATA = "/opt/stock-data/data"
_FILL = f"head -c {_BALLAST_MB}M /dev/urandom >%{{buildroot}}{_DATA}"
_STOP = """

%pre -p <lua>
if posix.stat("/root/slow") then
  io.open("/root/began", "w"):close()
  posix.sleep(1000)
end
error("refused")
"""
RELEASES: dict[str, tuple[Spec, ...]] = {
    "1.0": (Spec("library", "1"), Spec("tool", "1", requires=("library",), conflicts=("rival",))),
    "1.1": (Spec("library", "2"), Spec("tool", "2", requires=("library = 2", "added")), Spec("added", "1")),
    "1.2": (Spec("library", "3"), Spec("tool", "3", requires=("library = 3",))),
    "1.3": (Spec("library", "1"), Spec("tool", "4", requires=("library", "unrelated")), Spec("unrelated", "1")),
}
WANTED = {
    "1.0": '"tool", "stock-data"',
    "1.1": '"tool >= 2", "stock-data"',
    "1.2": '"tool >= 3"',
    "1.3": '"tool >= 4"',
}
STATE = "/var/lib/stock/installer/state.json"


@dataclass(frozen=True)
class Stock:
    """The bundles by version, the key that signs them, and packages that an administrator has."""

    folder: Path

    def bin(self, version: str) -> Path:
        return self.folder / version / "dist" / f"stock-installer-{version}.bin"

    @property
    def public_key(self) -> Path:
        return self.folder / "release.pub"

    def rpm(self, name: str) -> Path:
        (found,) = (self.folder / "built").glob(f"{name}-*.rpm")
        return found

    def provide(self, host: Host, *versions: str) -> None:
        """Lay the bundles and the key onto a host that has the data already, by another package."""
        host.put(self.public_key, "/etc/stock/trusted-keys.d/vendor.pub", 0o644)
        for version in versions:
            host.put(self.bin(version), f"/root/{version}.bin")
        self.admin_installs(host, "data-of-another-kind")

    def admin_installs(self, host: Host, name: str) -> None:
        host.put(self.rpm(name), f"/root/{name}.rpm")
        host.run(["rpm", "-i", f"/root/{name}.rpm"])


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Stock:
    """Releases of a product that is little more than its packages. Release 1.0 and 1.1 carry data that no host of these
    tests installs; 1.1 serves its packages; a package of 1.2 does not let itself be installed; 1.3 has one package of
    1.0, and one that administrators have."""
    made = Stock(tmp_path_factory.mktemp("stock"))
    sealift("keygen", made.folder / "release.pem", cwd=made.folder)
    own = (Spec("rival", "1"), Spec("data-of-another-kind", "1", provides=("stock-data",)), Spec("unrelated", "1"))
    with open_signer(Cache()) as signer:

        def built(spec: Spec, scripts: str = "") -> Path:
            """The package, built and signed once: the same file in every release that has it."""
            if not (path := made.folder / "built" / spec.filename).exists():
                signer.sign_rpms([build_rpm(spec, path.parent, scripts=scripts)])
            return path

        for spec in own:
            built(spec)
        ballast = built(Spec("stock-data", "1", files=(_DATA,)), _FILL)
        for version, specs in RELEASES.items():
            folder = made.folder / version
            packages = folder / "packages" / "Packages"
            packages.mkdir(parents=True)
            for spec in specs:
                shutil.copy(built(spec, _STOP if (version, spec.name) == ("1.2", "tool") else ""), packages)
            if version != "1.2":
                (packages / ballast.name).hardlink_to(ballast)
            create_repository(packages.parent, revision=1)
            shutil.copy(key_folder(Cache()) / PUBLIC_NAME, folder / "key.asc")
            serve = 'serve = "0.0.0.0:8079"' if version == "1.1" else ""
            text = MANIFEST.format(version=version, packages=WANTED[version], serve=serve)
            (folder / "bundle.toml").write_text(text)
            sealift("lock", "bundle.toml", cwd=folder)
            sealift("build", "bundle.toml", "--key", made.folder / "release.pem", cwd=folder)
    return made


@pytest.fixture
def host(lab: Lab, stock: Stock, name: str) -> Iterator[Host]:
    booted = lab.boot(name)
    stock.provide(booted, "1.0")
    yield booted
    lab.drop(booted)


def version_of(host: Host) -> object:
    return json.loads(host.read(STATE))["current"]


def kept(host: Host, version: str) -> list[str]:
    """The packages in a release folder."""
    return host.sh(f"cd /opt/stock/releases/{version}/repository/Packages 2>/dev/null && ls || true").split()


def test_a_disk_that_would_not_hold_the_repository(lab: Lab, stock: Stock) -> None:
    """Room for the bundle and for what the host installs, and no more."""
    size = stock.bin("1.0").stat().st_size // (1 << 20) + 210
    small = lab.boot("nearly-full", upper_size=f"{size}M")
    stock.provide(small, "1.0")
    free = int(small.sh("df --output=avail -B1M /opt | tail -1"))
    assert free < 90 + _BALLAST_MB, "the whole repository would fit"
    files = small.tree(["/etc/yum.repos.d", "/etc/dnf", "/var/cache/dnf"])
    done = small.run(["bash", "1.0.bin", "-o"])
    assert "Stock 1.0 is installed" in done.stdout
    small.run(["rpm", "-q", "tool", "library"])
    assert kept(small, "1.0") == ["library-1-1.noarch.rpm", "tool-1-1.noarch.rpm"]
    assert small.tree(["/etc/yum.repos.d", "/etc/dnf", "/var/cache/dnf"]) == files
    again = small.run(["bash", "1.0.bin", "-o"])
    assert "nothing to do" in again.stdout
    lab.drop(small)


def test_packages_for_other_hosts(lab: Lab, host: Host, stock: Stock) -> None:
    host.run(["bash", "1.0.bin", "-o"])
    host.put(stock.bin("1.1"), "/root/1.1.bin")
    host.run(["bash", "1.1.bin", "-u"])
    assert version_of(host) == "1.1"
    assert "stock-data-1-1.noarch.rpm" in kept(host, "1.1")
    unit = host.sh("systemctl show -p User,ActiveState stock-repository.service")
    assert set(unit.split()) == {"User=stock", "ActiveState=active"}
    other = lab.boot("other")
    keys = "/opt/stock/current/repository/RPM-GPG-KEY-stock", "/opt/stock/current/keys/base-0.asc"
    for number, path in enumerate(keys):
        other.write(f"/etc/pki/key-{number}", host.read(path))
    other.write(
        "/etc/yum.repos.d/stock.repo",
        f"[stock]\nname=Stock\nbaseurl=http://{host.address}:8079\ngpgcheck=1\nrepo_gpgcheck=1\n"
        "gpgkey=file:///etc/pki/key-0\n       file:///etc/pki/key-1\nskip_if_unavailable=0\n",
    )
    with lab.capture(other, allow=[host]) as traffic:
        other.run(["dnf", "-y", "--noplugins", "--disablerepo=*", "--enablerepo=stock", "install", "tool"])
    assert traffic.packets == []
    assert "tool-2-1.noarch" in other.sh("rpm -q tool library added")
    host.run(["stock-ctl", "rollback", "-y"])
    assert host.sh("systemctl is-active stock-repository.service || true").strip() == "inactive"
    assert not host.exists("/etc/systemd/system/stock-repository.service")
    lab.drop(other)


def test_packages_of_others_stay_unless_told(host: Host, stock: Stock) -> None:
    stock.admin_installs(host, "rival")
    packages, files = host.rpm_qa(), host.tree(["/etc", "/opt", "/var/lib/rpm"])
    refused = host.run(["bash", "1.0.bin", "-o"], check=False)
    assert refused.returncode == 20
    assert "remove: rival-1-1.noarch" in refused.stderr
    assert "--allow-removals" in refused.stderr
    assert host.rpm_qa() == packages
    plan = host.run(["bash", "1.0.bin", "-o", "--allow-removals", "--dry-run"]).stdout
    assert "packages to install: library-1-1.noarch, tool-1-1.noarch" in plan
    assert "packages to remove: rival-1-1.noarch" in plan
    assert "cannot be put back, not even if the run fails: rival-1-1.noarch" in plan
    body = json.loads(host.run(["bash", "1.0.bin", "-o", "--allow-removals", "--dry-run", "--json"]).stdout)
    assert body["packages"]["irreversible"] == ["rival-1-1.noarch"]
    assert {(each["action"], each["package"]) for each in body["packages"]["changes"]} == {
        ("install", "library-1-1.noarch"),
        ("install", "tool-1-1.noarch"),
        ("remove", "rival-1-1.noarch"),
    }
    assert host.tree(["/etc", "/opt", "/var/lib/rpm"]) == files
    lost = host.run(["bash", "1.0.bin", "-o", "--allow-removals"], check=False)
    assert lost.returncode == 20 and "[packages-irreversible]" in lost.stderr and "rival-1-1.noarch" in lost.stderr
    assert host.tree(["/etc", "/opt", "/var/lib/rpm"]) == files
    host.run(["bash", "1.0.bin", "-o", "--allow-removals", "--allow-irreversible"])
    assert host.run(["rpm", "-q", "rival"], check=False).returncode == 1
    host.run(["rpm", "-q", "tool"])


def test_a_failed_transaction_is_undone_without_the_older_bundle(host: Host, stock: Stock) -> None:
    """One package of the upgrade comes in, the other does not: both are put back from what stayed of 1.0."""
    host.run(["bash", "1.0.bin", "-o"])
    host.run(["rm", "1.0.bin"])
    host.put(stock.bin("1.2"), "/root/1.2.bin")
    packages = host.rpm_qa()
    failed = host.run(["bash", "1.2.bin", "-u"], check=False)
    assert failed.returncode == 30, failed.stderr
    log = host.sh("cat /var/log/stock/install-*.log")
    assert "library" in log and "refused" in log
    assert host.rpm_qa() == packages
    assert version_of(host) == "1.0"


def test_a_power_cut_in_a_transaction_leaves_others_packages(host: Host, stock: Stock) -> None:
    """What an administrator installs before the next run is not of that transaction, and stays."""
    host.run(["bash", "1.0.bin", "-o"])
    packages = host.rpm_qa()
    host.put(stock.bin("1.2"), "/root/1.2.bin")
    host.write("/root/slow", "")
    run = host.popen(["bash", "1.2.bin", "-u"])
    while not host.exists("/root/began"):
        assert run.poll() is None
        time.sleep(0.2)
    host.power_cut()
    host.boot()
    stock.admin_installs(host, "unrelated")
    host.run(["bash", "1.0.bin", "-o"])
    assert host.rpm_qa() == packages | {"unrelated-0:1-1.noarch"}
    assert version_of(host) == "1.0"


def test_the_smallest_bundle_for_one_host(host: Host, stock: Stock) -> None:
    """It leaves out what the host's plan says that it has, and refuses when that is no longer so."""
    stock.admin_installs(host, "unrelated")
    host.run(["bash", "1.0.bin", "-o"])
    files = host.tree(["/etc", "/opt", "/var/lib/stock"])
    text = host.run(["bash", "1.0.bin", "--plan", "--json"]).stdout
    assert json.loads(host.run(["stock-ctl", "plan", "--json"]).stdout) == json.loads(text)
    assert host.tree(["/etc", "/opt", "/var/lib/stock"]) == files
    (plan := stock.folder / "site.json").write_text(text)
    made, folder = stock.folder / "site.bin", stock.folder / "1.3"
    options = ("--for-plan", plan, "--base", stock.bin("1.0"))
    sealift("build", "bundle.toml", *options, "-o", made, "--key", stock.folder / "release.pem", cwd=folder)
    index = open_bundle(made).claimed
    names = {rpm.digest: rpm.name for rpm in index.lock.rpms}
    assert {names[each.digest] for each in index.borrowed if each.sources and each.digest in names} == {"library"}
    assert {names[each.digest] for each in index.borrowed if each.header} == {"unrelated"}
    sealift("rebuild", "--verify", made, "bundle.toml", *options, cwd=folder)

    host.put(made, "/root/site.bin")
    host.run(["rpm", "-e", "unrelated"])
    files, packages = host.tree(["/etc", "/opt", "/var/lib/stock"]), host.rpm_qa()
    refused = host.run(["bash", "site.bin", "-u", "-y"], check=False)
    assert (refused.returncode, "[host-changed]" in refused.stderr) == (20, True), refused.stderr
    assert "unrelated-0:1-1.noarch: needs unrelated-1-1.noarch.rpm" in refused.stderr
    assert (host.tree(["/etc", "/opt", "/var/lib/stock"]), host.rpm_qa()) == (files, packages)

    host.run(["rpm", "-i", "/root/unrelated.rpm"])
    host.run(["bash", "site.bin", "-u", "-y"])
    assert version_of(host) == "1.3"
    assert "tool-4-1.noarch" in host.sh("rpm -q tool library unrelated")
    assert kept(host, "1.3") == ["library-1-1.noarch.rpm", "tool-4-1.noarch.rpm"]
    host.put(stock.bin("1.3"), "/root/1.3.bin")
    assert "nothing to do" in host.run(["bash", "1.3.bin", "-o"]).stdout, "it is the release of the full bundle"
    host.run(["stock-ctl", "rollback", "-y"])
    assert version_of(host) == "1.0"
