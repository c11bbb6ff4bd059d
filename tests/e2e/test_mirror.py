"""Packages from mirrors: a name, a URL, the fastest one; and mirrors that lie."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from payload.manifest import MirrorPlace
from payload.model import Index
from payload.signing import PrivateKey
from tests.e2e.conftest import Bundles
from tests.e2e.forge import Anatomy
from tests.e2e.product import NOT_STATE, version
from tests.lab import Host, Lab, Snapshot
from tests.lab import repository as lab_repository
from tests.lab.cache import Cache
from tests.lab.process import run
from tests.lab.site import Site

ALIYUN, NETEASE = "mirrors.aliyun.com", "mirrors.163.com"
PLACE = "centos/7/os/x86_64"
"""Where the manifest's catalogue says that mirrors keep the repository, once dnf has put in its variables."""
WANTED = ("qemu-utils", "sqlite3", "dnsmasq-base")
REPOSITORY_FILES = ("/etc/yum.repos.d", "/etc/dnf")
OLD, NEW = "sealift-installer-1.0.0.bin", "sealift-installer-1.1.0.bin"
INSTALLED_AS = "/var/lib/sealift/installer/state.json"


@pytest.fixture(scope="module")
def upstream() -> Path:
    """The real, signed repository."""
    return lab_repository.repository(Cache())


def mirror(folder: Path, upstream: Path) -> Path:
    """A web root with the repository where mirrors have it; its parts are links, so that a test can break some."""
    place = folder / PLACE
    place.mkdir(parents=True)
    (place / "Packages").symlink_to(upstream / "Packages")
    shutil.copytree(upstream / "repodata", place / "repodata")
    return folder


def packages_from(site: Site) -> list[str]:
    """The host names under which RPMs were asked for."""
    words = [request.split() for request in site.requests]
    return [host for verb, host, path in words if verb == "GET" and path.endswith(".rpm")]


def forget_packages(host: Host) -> None:
    """Take packages away, so that the next run has to fetch them again."""
    host.run(["rpm", "-e", *WANTED])
    host.run(["dnf", "-q", "clean", "all"])


def remembered(host: Host) -> object:
    """The mirror in the installer's state."""
    return json.loads(host.read(INSTALLED_AS))["mirror"]


def planned_mirrors(host: Host, *words: str) -> list[str]:
    """The URLs that a run would take packages from."""
    plan = json.loads(host.run(["bash", NEW, *words, "--dry-run", "--json"]).stdout)
    (step,) = [step for step in plan["steps"] if step["kind"] == "packages"]
    return [one["baseurls"][0] for each in step["mirrors"] for one in each["repositories"]]


def test_a_named_mirror_is_used_and_remembered(lab: Lab, bare: Host, upstream: Path, tmp_path: Path) -> None:
    files = bare.tree(REPOSITORY_FILES)
    with lab.serve(mirror(tmp_path, upstream), names=[ALIYUN], hosts=[bare]) as site:
        bare.run(["bash", OLD, "-R", "aliyun"])
        assert version(bare) == "1.0.0"
        fetched = packages_from(site)
        assert len(fetched) >= len(WANTED)
        assert set(fetched) == {ALIYUN}
        assert all(f" /{PLACE}/" in request for request in site.requests), "only packages come from the mirror"
        assert (
            bare.sh(f"rpm -q {' '.join(WANTED)} --qf '%{{SIGPGP:pgpsig}}%{{RSAHEADER:pgpsig}}\n'").count("Key ID") >= 3
        )
        assert bare.tree(REPOSITORY_FILES) == files
        private = bare.read("/opt/sealift/releases/1.0.0/yum.repos.d/mirror.repo")
        assert f"baseurl=http://{ALIYUN}/centos/$releasever/os/$basearch/" in private
        assert "gpgcheck=1\nrepo_gpgcheck=1\n" in private
        assert remembered(bare) == "aliyun"

        bare.run(["rpm", "-e", "sqlite3"])
        base = [f"http://{ALIYUN}/centos/$releasever/os/$basearch/"]
        assert planned_mirrors(bare, "-u") == base
        assert planned_mirrors(bare, "-u", "-o") == []
        other = f"{site.url}/{PLACE}"
        assert planned_mirrors(bare, "-u", "-R", other) == [other]
        site.requests.clear()
        bare.run(["bash", NEW, "-u"])
        assert set(packages_from(site)) == {ALIYUN}
        assert (version(bare), remembered(bare)) == ("1.1.0", "aliyun")
        bare.run(["rpm", "-q", "sqlite3"])
    assert bare.tree(REPOSITORY_FILES) == files


def test_another_name_and_urls(lab: Lab, bare: Host, upstream: Path, tmp_path: Path) -> None:
    with lab.serve(mirror(tmp_path, upstream), names=[NETEASE, "mine.example"], hosts=[bare]) as site:
        bare.run(["bash", NEW, "-R", "163", "-z"])
        assert set(packages_from(site)) == {NETEASE}
        for url in (f"http://mine.example/{PLACE}", f"http://mine.example/{PLACE}/"):
            forget_packages(bare)
            site.requests.clear()
            bare.run(["bash", NEW, "-R", url])
            assert set(packages_from(site)) == {"mine.example"}
            assert all(f" /{PLACE}/" in request for request in site.requests), site.requests
            bare.run(["rpm", "-q", *WANTED])
        url = f"http://mine.example/{PLACE}"
        bare.write("/etc/sealift/mirrors.d/site.toml", f'[mirrors.site]\nbase = "{url}"\n')
        bare.write("/root/more.toml", f'[mirrors.more]\nbase = ["http://none.example/", "{url}"]\n')
        for words in (("-R", "site"), ("-R", "more", "--mirrors", "more.toml")):
            forget_packages(bare)
            site.requests.clear()
            bare.run(["bash", NEW, *words])
            assert set(packages_from(site)) == {"mine.example"}
        forget_packages(bare)
        site.requests.clear()
        bare.run(["bash", NEW, "-R", "site", "--bundle-first"])
        assert site.requests, "its metadata was read"
        assert packages_from(site) == [], "the bundle has all packages"
        bare.run(["rpm", "-q", *WANTED])


def three_mirrors(index: Index) -> Index:
    """The bundle with a third mirror in its catalogue."""
    mirrors = {**index.manifest.mirrors, "dead": {"base": (MirrorPlace(url=f"http://dead.example/{PLACE}/"),)}}
    return replace(index, manifest_table=index.manifest.model_copy(update={"mirrors": mirrors}).to_table())


def test_the_best_mirror_and_then_the_next(
    lab: Lab, bare: Host, upstream: Path, tmp_path: Path, bundles: Bundles
) -> None:
    vendor = PrivateKey.from_pem(bundles.key.read_bytes())
    Anatomy.of(bundles["1.1.0"]).signed_by(vendor, edit=three_mirrors).make(bare, f"/root/{NEW}", "/root/three.bin")
    good, slow = mirror(tmp_path / "good", upstream), mirror(tmp_path / "slow", upstream)
    bare.sh(f"echo {lab.controller} dead.example >>/etc/hosts")  # nobody listens there
    with ExitStack() as stack:
        near = stack.enter_context(lab.serve(good, names=[NETEASE], hosts=[bare]))
        far = stack.enter_context(lab.serve(slow, names=[ALIYUN], hosts=[bare], rate=40_000))
        done = bare.run(["bash", "three.bin", "-R", "auto", "-z"])
        assert f"packages came from http://{NETEASE}/" in done.stderr
        assert (set(packages_from(near)), packages_from(far)) == ({NETEASE}, [])
        assert far.requests, "all were asked"
        assert remembered(bare) == "auto"

        forget_packages(bare)
        near.requests.clear()
        (good / PLACE / "Packages").unlink()
        done = bare.run(["bash", "three.bin", "-o", "-R", "auto"], check=False)
        assert done.returncode == 2
        done = bare.run(["bash", "three.bin", "-R", "auto"])
        assert f"http://{NETEASE}/centos/$releasever/os/$basearch/ failed, the next mirror is tried" in done.stderr
        assert set(packages_from(near)) == {NETEASE}
        assert set(packages_from(far)) == {ALIYUN}
        bare.run(["rpm", "-q", *WANTED])


@pytest.fixture(scope="module")
def victim(lab: Lab, provided: Snapshot) -> Iterator[Host]:
    """A host on which every install below must leave nothing."""
    host = lab.boot("victim", snapshot=provided)
    yield host
    lab.drop(host)


def tampered_package(place: Path) -> None:
    """One byte of a package is not what the metadata says."""
    real = (place / "Packages").resolve()
    (place / "Packages").unlink()
    (place / "Packages").mkdir()
    for rpm in real.iterdir():
        (place / "Packages" / rpm.name).symlink_to(rpm)
    path = next((place / "Packages").glob("sqlite3-*.rpm"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.unlink()
    path.write_bytes(content)


def foreign_metadata(place: Path) -> None:
    """Metadata that somebody else signed."""
    home = place / "home"
    home.mkdir(mode=0o700)
    gpg: list[str | Path] = ["gpg", "--homedir", home, "--batch", "--yes", "--quiet", "--passphrase", ""]
    repomd = place / "repodata/repomd.xml"
    run([*gpg, "--quick-generate-key", "Mallory <m@example.invalid>", "rsa2048", "sign", "never"])
    run([*gpg, "--armor", "--output", f"{repomd}.asc", "--detach-sign", repomd])
    run(["gpgconf", "--homedir", home, "--kill", "all"])


def unsigned_metadata(place: Path) -> None:
    """Metadata without its signature."""
    (place / "repodata/repomd.xml.asc").unlink()


@pytest.mark.parametrize(
    ("lie", "code"),
    [(tampered_package, 30), (foreign_metadata, 13), (unsigned_metadata, 13)],
)
def test_a_mirror_that_lies_is_refused(
    lab: Lab, victim: Host, upstream: Path, lie: Callable[[Path], None], code: int
) -> None:
    """Wrong metadata is seen before anything is changed, a wrong package when it comes."""
    folder = Path(run(["mktemp", "-d", "/tmp/sealift-lie-XXXXXX"]).stdout.strip())
    watched = ["/etc", "/opt", "/usr", "/root", "/var/lib"]
    without = [*NOT_STATE, "/var/lib/rpm", "/var/lib/systemd", "/var/lib/sealift", "/etc/hosts", "/var/lib/dnf"]
    before, packages = victim.tree(watched, without=without), victim.rpm_qa()
    try:
        root = mirror(folder, upstream)
        lie(root / PLACE)
        with lab.serve(root, names=[ALIYUN], hosts=[victim]) as site:
            done = victim.run(["bash", NEW, "-R", "aliyun"], check=False)
            assert site.requests
    finally:
        shutil.rmtree(folder)
    assert done.returncode == code, done.stderr
    assert ("was undone" if code == 30 else "nothing was changed") in done.stderr
    assert "sqlite3" in done.stderr or "GPG" in done.stderr or "signature" in done.stderr, done.stderr
    assert victim.rpm_qa() == packages
    assert victim.run(["rpm", "-q", "gpg-pubkey"], check=False).returncode == 1, "a key stayed"
    assert victim.tree(watched, without=without) == before
    assert not victim.exists(INSTALLED_AS)
    assert victim.sh("getent passwd sealift || true") == ""


def test_mirrors_that_do_not_answer(victim: Host) -> None:
    done = victim.run(["bash", NEW, "-R", "auto"], check=False)
    assert done.returncode == 13
    assert re.search("aliyun +out: ", done.stderr) and re.search("163 +out: ", done.stderr) and "-o" in done.stderr


def test_what_cannot_be_meant(victim: Host) -> None:
    unknown = victim.run(["bash", NEW, "-R", "tencent"], check=False)
    assert unknown.returncode == 2
    assert "163, aliyun" in unknown.stderr and "URL" in unknown.stderr
    both = victim.run(["bash", NEW, "-o", "-R", "aliyun"], check=False)
    assert (both.returncode, "[offline-with-mirror]" in both.stderr) == (2, True)
    assert victim.run(["bash", NEW, "-R"], check=False).returncode == 2
