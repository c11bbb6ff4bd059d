"""`sealift mirror`, whole: real signed packages, a real server, and a mirror that dnf reads."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from builder.mirror import Synced, compare, mirror_keys, sync
from builder.sign import create_rpm_key
from payload import effects
from payload.digest import Digest, digest_file
from payload.errors import InputError, TrustError
from payload.events import NullSink
from payload.store import Store
from repos.checking import Finding, check_repository, read_repository
from repos.createrepo import create_repository
from repos.signatures import verify_metadata
from tests.paths import CHECKOUT
from tests.unit.repos.conftest import Signer, rpms, signers  # noqa: F401 - fixtures
from tests.unit.repos.packages import Spec, build_rpm
from tests.unit.repos.server import Behaviour, serve

UPDATES = b"""<updates><update type="security"><id>A-1</id><title>t</title><pkglist><collection short="c"><name>c</name>
<package name="tool" version="2.0~rc1" release="1" epoch="0" arch="noarch"><filename>tool.rpm</filename></package>
<package name="other" version="1" release="1" epoch="0" arch="noarch"><filename>other.rpm</filename></package>
</collection></pkglist></update><update><id>A-2</id><pkglist><collection short="c"><name>c</name>
<package name="other" version="1" release="1" epoch="0" arch="noarch"/></collection></pkglist></update></updates>"""
GROUPS = b"""<comps><group><id>tools</id><name>Tools</name><packagelist><packagereq type="default">tool</packagereq>
</packagelist></group><group><id>rest</id><packagelist><packagereq>other</packagereq></packagelist></group>
<category><id>all</id><grouplist><groupid>tools</groupid></grouplist></category></comps>"""


class Place:
    """An upstream on disk, a manifest, and a mirror to be."""

    def __init__(self, folder: Path, packages: dict[str, Path], signer: Signer) -> None:
        self.folder, self.signer = folder, signer
        self.upstream, self.mirror = folder / "upstream", folder / "mirror"
        self.upstream.mkdir()
        for name in ("library", "tool"):
            shutil.copy(packages[name], self.upstream)
        shutil.copy(signer.public, folder / "vendor.asc")
        self.publish(1)
        self.write()
        create_rpm_key(folder / "mirror.gpg", "Mirror")

    def publish(self, revision: int) -> None:
        create_repository(self.upstream, revision=revision, documents={"updateinfo": UPDATES, "group": GROUPS})
        self.signer.sign_file(self.upstream / "repodata/repomd.xml")

    def write(self, packages: str = '["tool"]', url: str = "./upstream", more: str = "") -> None:
        (self.folder / "mirror.toml").write_text(
            f"""[repository]
packages = {packages}
exclude = ["bash"]
{more}
[[repository.upstreams]]
id = "base"
url = "{url}"
gpg-keys = ["vendor.asc"]
"""
        )

    def sync(self) -> Synced:
        key = self.folder / "mirror.gpg"
        return sync(
            self.folder / "mirror.toml", self.mirror, rpm_key=key, store=Store(self.folder / "store"), sink=NullSink()
        )

    def findings(self) -> list[Finding]:
        return list(check_repository(self.mirror, mirror_keys(self.mirror)).findings)

    def files(self) -> dict[str, bytes]:
        return {
            str(path.relative_to(self.mirror)): path.read_bytes() for path in self.mirror.rglob("*") if path.is_file()
        }


@pytest.fixture
def place(tmp_path: Path, rpms: dict[str, Path], signers: tuple[Signer, Signer]) -> Place:  # noqa: F811
    shell = build_rpm(Spec("shell", "1", provides=("/bin/sh",)), tmp_path / "built")
    signers[0].sign_rpm(shell)
    return Place(tmp_path, {**rpms, "library": rpms["library"], "shell": shell}, signers[0])


@pytest.fixture
def whole(place: Place) -> Place:
    """With a shell, so that everything is complete."""
    shutil.copy(place.folder / "built/shell-1-1.noarch.rpm", place.upstream)
    place.publish(2)
    return place


def test_a_mirror_is_whole_signed_and_repeatable(whole: Place) -> None:
    done = whole.sync()
    assert (done.packages, done.changed, done.revision, len(done.added)) == (3, True, 2, 3)
    assert whole.findings() == []
    first = whole.files()
    assert sorted(name for name in first if "/" not in name) == ["RPM-GPG-KEY-base-0", "RPM-GPG-KEY-mirror"]
    signature = first["repodata/repomd.xml.asc"]
    verify_metadata(first["repodata/repomd.xml"], signature, [whole.mirror / "RPM-GPG-KEY-mirror"], where="mirror")
    shutil.rmtree(whole.mirror)
    whole.sync()
    assert whole.files() == first


def test_updates_and_groups_are_kept_for_what_is_there(whole: Place) -> None:
    whole.sync()
    argv = ["dnf", "--noplugins", "--disablerepo=*", f"--repofrompath=m,{whole.mirror.as_uri()}", "--enablerepo=m"]
    words = [
        "--setopt=reposdir=/nonexistent",
        f"--setopt=cachedir={whole.folder}/cache",
        f"--installroot={whole.folder}",
    ]
    words += ["--releasever=1", "--setopt=gpgcheck=0"]
    updates = effects.run([*argv, *words, "updateinfo", "list", "--available"], check=False)
    groups = effects.run([*argv, *words, "group", "list", "--hidden"], check=False)
    comps = next((whole.mirror / "repodata").glob("*comps.xml")).read_text()
    assert "tools" in comps and "rest" not in comps, groups.errors
    assert "Tools" in groups.output, groups.errors
    assert updates.returncode == 0, updates.errors
    update = next((whole.mirror / "repodata").glob("*updateinfo.xml.gz"))
    text = effects.run(["zcat", update]).output
    assert "A-1" in text and "A-2" not in text and 'name="other"' not in text


def test_an_unchanged_upstream_costs_repomd_and_its_signature(whole: Place) -> None:
    behaviour = Behaviour()
    with serve(whole.upstream, behaviour) as url:
        whole.write(url=url)
        whole.sync()
        before = {path: path.stat().st_mtime_ns for path in whole.mirror.rglob("*")}
        behaviour.requests.clear()
        done = whole.sync()
    assert not done.changed
    assert [path for path, _ in behaviour.requests] == ["/repodata/repomd.xml", "/repodata/repomd.xml.asc"]
    assert {path: path.stat().st_mtime_ns for path in whole.mirror.rglob("*")} == before


def test_a_package_that_left_leaves_and_the_revision_grows(whole: Place) -> None:
    first = whole.sync().revision
    listed = read_repository(whole.mirror)
    whole.write(packages='["library"]')
    done = whole.sync()
    assert done.revision > first
    assert "tool-2.0~rc1-1.noarch.rpm" in done.removed
    assert whole.findings() == []
    found = compare(listed, read_repository(whole.mirror))
    assert {nevra.name for nevra in found.removed} == {"tool", "shell"}
    assert (found.added, found.changed, found.replaced) == ((), (), ())


def test_all_packages_of_an_upstream(whole: Place) -> None:
    whole.write(packages="[]")
    assert whole.sync().packages == 3


def test_a_bad_signature_leaves_the_mirror_as_it_was(whole: Place, signers: tuple[Signer, Signer]) -> None:  # noqa: F811
    whole.sync()
    before = whole.files()
    newer = build_rpm(Spec("tool", "3"), whole.folder / "newer")
    signers[1].sign_rpm(newer)
    shutil.copy(newer, whole.upstream)
    whole.publish(3)
    with pytest.raises(TrustError):
        whole.sync()
    assert whole.files() == before


def test_a_package_has_no_name_in_the_store_before_its_signature_holds(
    whole: Place,
    signers: tuple[Signer, Signer],  # noqa: F811
) -> None:
    right = (whole.folder / "vendor.asc").read_bytes()
    shutil.copy(signers[1].public, whole.folder / "vendor.asc")
    signers[1].sign_file(whole.upstream / "repodata/repomd.xml")
    packages = {digest_file(path): path for path in whole.upstream.glob("*.rpm")}
    store, behaviour = Store(whole.folder / "store"), Behaviour()
    with serve(whole.upstream, behaviour) as url:
        whole.write(url=url)
        with pytest.raises(TrustError):
            whole.sync()
        assert not any(store.has(digest) for digest in packages)
        assert all(store.held(digest).read_bytes() == path.read_bytes() for digest, path in packages.items())
        (whole.folder / "vendor.asc").write_bytes(right)
        whole.signer.sign_file(whole.upstream / "repodata/repomd.xml")
        behaviour.requests.clear()
        assert whole.sync().packages == 3
    assert all(store.has(digest) and not store.held(digest).exists() for digest in packages)
    assert not [path for path, _ in behaviour.requests if path.endswith(".rpm")], "the bytes were there"


class Overtaken(Store):
    """A store in which another process is always a bit faster."""

    def held(self, digest: Digest) -> Path:
        path = super().held(digest)
        self.admit(digest)
        return path


def test_another_process_may_admit_a_package_meanwhile(whole: Place) -> None:
    key, store = whole.folder / "mirror.gpg", Overtaken(whole.folder / "store")
    done = sync(whole.folder / "mirror.toml", whole.mirror, rpm_key=key, store=store, sink=NullSink())
    assert (done.packages, whole.findings()) == (3, [])


def test_what_check_finds(whole: Place) -> None:
    whole.sync()
    packages = whole.mirror / "Packages"
    (packages / "shell-1-1.noarch.rpm").unlink()
    tool = packages / "tool-2.0~rc1-1.noarch.rpm"
    content = tool.read_bytes()
    tool.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    shutil.copy(packages / "library-1.2-3.noarch.rpm", packages / "stray.rpm")
    found = {finding.where: finding.what for finding in whole.findings()}
    assert found == {
        "Packages/shell-1-1.noarch.rpm": "cannot be read: No such file or directory",
        "Packages/tool-2.0~rc1-1.noarch.rpm": "has another digest than the metadata says",
        "Packages/stray.rpm": "is not in the metadata",
    }
    (whole.mirror / "repodata/repomd.xml").write_text("<repomd/>")
    (only,) = whole.findings()
    assert only.where == "repodata/repomd.xml" and "signature" in only.what


def test_an_incomplete_repository(whole: Place) -> None:
    lacking = build_rpm(Spec("lacking", "1", requires=("(nothing or nowhere)", "tool")), whole.folder / "lacking")
    whole.signer.sign_rpm(lacking)
    shutil.copy(lacking, whole.upstream)
    whole.publish(4)
    found = check_repository(whole.upstream, [whole.folder / "vendor.asc"]).findings
    assert Finding("lacking-1-1.noarch", "requires (nothing or nowhere), which nothing provides") in found


def test_a_folder_with_something_else_is_left_alone(whole: Place) -> None:
    whole.mirror.mkdir()
    (whole.mirror / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match="something else"):
        whole.sync()
    assert list(whole.files()) == ["thesis.tex"]


def test_every_mistake_of_a_mirror_manifest(whole: Place) -> None:
    whole.write(more='modules = ["node"]\nbaseline = "x"')
    with (whole.folder / "mirror.toml").open("a") as out:
        out.write('ca-file = "none.pem"\n[server]\n')
    with pytest.raises(InputError) as caught:
        whole.sync()
    lines = caught.value.details.splitlines()
    assert [line.split(": ")[1] for line in lines] == [
        "repository.modules[0]",
        "repository.baseline",
        "repository.upstreams[0].ca-file",
        "server",
    ]


def sealift(*words: str | Path) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "builder.cli", *map(str, words)]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(argv, capture_output=True, text=True, env=env, check=False)


def test_the_command_line(whole: Place) -> None:
    store = ("--store", whole.folder / "store", "--rpm-key", whole.folder / "mirror.gpg")
    done = sealift("mirror", "sync", whole.folder / "mirror.toml", whole.mirror, *store)
    assert (done.returncode, "3 packages" in done.stdout) == (0, True), done.stderr
    assert "up to date" in sealift("mirror", "sync", whole.folder / "mirror.toml", whole.mirror, *store).stdout
    assert "library-1:1.2-3.noarch" in sealift("mirror", "list", whole.mirror).stdout
    checked = sealift("mirror", "check", whole.mirror, "--json", "--quiet")
    assert json.loads(checked.stdout.splitlines()[-1])["packages"] == 3, checked.stdout
    assert sealift("mirror", "diff", whole.mirror, whole.upstream).stdout == "the same packages\n"
    (whole.mirror / "Packages/shell-1-1.noarch.rpm").unlink()
    faulty = sealift("mirror", "check", whole.mirror)
    assert faulty.returncode == 10
    assert "Packages/shell-1-1.noarch.rpm cannot be read" in faulty.stderr
    assert sealift("mirror", "list", whole.folder).returncode == 12
    assert "no packages" in sealift("mirror", "baseline", "--root", whole.folder).stderr


@contextmanager
def served(mirror: Path) -> Iterator[str]:
    argv = [sys.executable, "-m", "builder.cli", "mirror", "serve", str(mirror), "--port", "0", "--json"]
    env = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True, env=env) as child:
        assert child.stdout is not None
        yield json.loads(child.stdout.readline())["url"]
        child.terminate()
        child.communicate(timeout=10)


def test_a_mirror_is_served(whole: Place) -> None:
    whole.sync()
    with served(whole.mirror) as url:
        repomd = requests.get(f"{url}/repodata/repomd.xml", timeout=5)
        part = requests.get(f"{url}/Packages/tool-2.0~rc1-1.noarch.rpm", headers={"Range": "bytes=0-3"}, timeout=5)
        outside = requests.get(f"{url}/%2e%2e/mirror.toml", timeout=5)
    assert repomd.content == (whole.mirror / "repodata/repomd.xml").read_bytes()
    assert (part.status_code, part.content) == (206, b"\xed\xab\xee\xdb")
    assert outside.status_code == 404
