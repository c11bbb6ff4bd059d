"""Packages of a real, signed upstream: from the manifest into the bundle."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builder import pipeline
from builder.rebuild import verify_rebuild
from builder.sign import create_rpm_key
from payload import effects
from payload.archive import VerifiedBundle, open_bundle
from payload.errors import InputError, ResolveError, TrustError
from payload.events import NullSink
from payload.signing import PrivateKey
from payload.trust import Keyring
from repos.createrepo import create_repository
from repos.signatures import verify_metadata
from tests.unit.builder.product import Site, sha256
from tests.unit.repos.packages import Spec, build_rpm

KEY = PrivateKey.generate("test")
REVISION = 1_700_000_000
UPDATES = b"""<updates><update type="security"><id>A-1</id><pkglist><collection short="c"><name>c</name>
<package name="tool" version="2.0" release="1" epoch="0" arch="noarch"><filename>tool.rpm</filename></package>
</collection></pkglist></update><update><id>A-2</id><pkglist><collection short="c"><name>c</name>
<package name="unsigned" version="1" release="1" epoch="0" arch="noarch"/></collection></pkglist></update></updates>"""
GROUPS = b"""<comps><group><id>tools</id><name>Tools</name><packagelist><packagereq>tool</packagereq></packagelist>
</group><group><id>rest</id><name>Rest</name><packagelist><packagereq>unsigned</packagereq></packagelist></group></comps>"""
TABLES = """
[repository]
packages = ["tool >= 2"]

[[repository.upstreams]]
id = "base"
url = "./upstream"
gpg-keys = ["vendor.asc"]
signed-metadata = false
"""


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with the vendor's key and repository: `tool` needs `library`, which needs what a minimal host has."""
    folder = tmp_path_factory.mktemp("vendor")
    home = folder / "home"
    home.mkdir(mode=0o700)
    env = {"GNUPGHOME": str(home)}
    words = ["--quick-generate-key", "vendor <vendor@example.org>", "rsa2048", "sign", "never"]
    effects.run(["gpg", "--batch", "--passphrase", "", *words], env=env)
    (folder / "vendor.asc").write_text(effects.run(["gpg", "--armor", "--export", "vendor"], env=env).output)
    packages = folder / "upstream"
    packages.mkdir()
    (folder / "built").mkdir()
    specs = (
        Spec("library", "1.2", epoch=1, requires=("base-files",)),
        Spec("tool", "2.0", requires=("library",)),
        Spec("unsigned", "1"),
        Spec("base-files", "1"),
    )
    built = [Path(shutil.copy(build_rpm(spec, folder / "built"), packages)) for spec in specs]
    signed = [path for path in built if not path.name.startswith("unsigned")]
    defines = ["--define", "_gpg_name vendor", "--define", "__gpg /usr/bin/gpg"]
    effects.run(["rpmsign", *defines, "--addsign", *signed], env=env)
    create_repository(packages, revision=REVISION, documents={"updateinfo": UPDATES, "group": GROUPS})
    yield folder
    effects.run(["gpgconf", "--kill", "all"], env=env)


@pytest.fixture
def vendor(locked: Site, upstream: Path) -> Site:
    """The product, wanting `tool` of that upstream."""
    shutil.copytree(upstream / "upstream", locked.folder / "upstream")
    shutil.copy(upstream / "vendor.asc", locked.folder)
    (locked.folder / "baseline.txt").write_text("# a minimal host\nbase-files-1-1.noarch\n")
    locked.rewrite('os = ["el", "debian"]', 'os = ["el", "debian"]\nbaseline = "baseline.txt"')
    with locked.manifest.open("a") as out:
        out.write(TABLES)
    return locked


def lock(site: Site) -> pipeline.Locked:
    return pipeline.lock(site.manifest, store=site.store, sink=NullSink())


def build(site: Site, out: Path) -> pipeline.Built:
    key = site.folder.parent / "release.gpg"
    if not key.exists():
        create_rpm_key(key, "Demo")
    return pipeline.build(site.manifest, out=out, signers=[KEY], rpm_key=key, store=site.store, sink=NullSink())


def test_the_closure_without_the_baseline_goes_into_the_bundle(
    vendor: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rpms = lock(vendor).lock.rpms
    assert [(rpm.nevra, rpm.requested) for rpm in rpms] == [
        ("library-1:1.2-1.noarch", False),
        ("tool-0:2.0-1.noarch", True),
    ]
    assert [rpm.digest for rpm in rpms] == [sha256(vendor.folder / "upstream" / rpm.filename) for rpm in rpms]
    built = build(vendor, tmp_path / "demo.bin")
    paths = {entry.path for entry in built.index.entries if entry.component == "repository"}
    assert {path for path in paths if "repodata" not in path} == {
        "keys/base-0.asc",
        "repository/Packages/library-1.2-1.noarch.rpm",
        "repository/Packages/tool-2.0-1.noarch.rpm",
        "repository/RPM-GPG-KEY-demo",
    }
    bundle = open_bundle(built.path).verify(Keyring(keys=(KEY.public,)))
    repomd = bundle.read("repository/repodata/repomd.xml")
    assert f"<revision>{REVISION}</revision>" in repomd.decode()
    (tmp_path / "rpm-key.asc").write_bytes(bundle.read("repository/RPM-GPG-KEY-demo"))
    signature = bundle.read("repository/repodata/repomd.xml.asc")
    verify_metadata(repomd, signature, [tmp_path / "rpm-key.asc"], where="the bundle")

    # warm: neither the upstream nor a program other than the one that signs is needed
    (tmp_path / "bin").mkdir()
    for name in ("gpg", "gpgconf", "gpg-agent"):
        (tmp_path / "bin" / name).symlink_to(f"/usr/bin/{name}")
    for path in (vendor.folder / "upstream").glob("*.rpm"):
        path.unlink()
    monkeypatch.setattr("payload.effects._PATH", str(tmp_path / "bin"))
    again = build(vendor, tmp_path / "again" / "demo.bin")
    assert again.path.read_bytes() == built.path.read_bytes()
    proven = verify_rebuild(again.path, vendor.manifest, bases=(), store=vendor.store, sink=NullSink())
    assert proven.digest == built.digest, "the signature of the metadata is the one inside"


def test_updates_and_groups_of_the_upstream_are_in_the_bundle(vendor: Site, tmp_path: Path) -> None:
    assert [row.kind for row in lock(vendor).lock.documents] == ["group", "updateinfo"]
    for path in (vendor.folder / "upstream/repodata").glob("*-*"):
        path.unlink()  # an upstream replaces them any day; the lock has its own copies
    bundle = open_bundle(build(vendor, tmp_path / "demo.bin").path).verify(Keyring(keys=(KEY.public,)))
    texts = {path.rpartition("-")[2]: bundle.read(path) for path in repodata(bundle)}
    updates, groups = gzip.decompress(texts["updateinfo.xml.gz"]), texts["comps.xml"]
    assert b"A-1" in updates and b"A-2" not in updates
    assert b"<id>tools</id>" in groups and b"<id>rest</id>" not in groups
    (vendor.folder / "bundle.comps.xml").write_text("<comps/>")
    with pytest.raises(InputError, match=r"bundle\.comps\.xml is not the one that the lock names"):
        build(vendor, tmp_path / "other.bin")


def repodata(bundle: VerifiedBundle) -> list[str]:
    return [entry.path for entry in bundle.index.entries if entry.path.startswith("repository/repodata/")]


def test_the_revision_grows_with_each_change_and_with_nothing_else(vendor: Site) -> None:
    first = lock(vendor)
    vendor.rewrite('title = "Demo"', 'title = "Demo again"')
    assert lock(vendor).lock.revision == first.lock.revision == REVISION
    vendor.rewrite('"tool >= 2"', '"library"')
    assert lock(vendor).lock.revision == REVISION + 1
    vendor.rewrite('"library"', '"tool >= 2"')
    assert lock(vendor).lock.revision == REVISION + 2, "what a host saw before has a lower one"


def test_an_unsigned_package_is_not_bundled(vendor: Site, tmp_path: Path) -> None:
    vendor.rewrite('"tool >= 2"', '"unsigned"')
    lock(vendor)
    with pytest.raises(TrustError, match="not signed by a key"):
        build(vendor, tmp_path / "demo.bin")
    with pytest.raises(TrustError):  # a failed check is not remembered as one that passed
        build(vendor, tmp_path / "demo.bin")
    assert not (tmp_path / "demo.bin").exists()


def test_metadata_that_should_be_signed(vendor: Site) -> None:
    vendor.rewrite("signed-metadata = false", "signed-metadata = true")
    with pytest.raises(ResolveError, match=r"repomd\.xml\.asc"):
        lock(vendor)


def test_a_package_that_nobody_has(vendor: Site) -> None:
    vendor.rewrite('"tool >= 2"', '"tool >= 3"')
    with pytest.raises(ResolveError) as caught:
        lock(vendor)
    assert "tool >= 3" in caught.value.details


def test_an_upstream_that_is_no_repository(vendor: Site) -> None:
    vendor.rewrite('"./upstream"', '"./units"')
    with pytest.raises(InputError, match="mistake") as caught:
        lock(vendor)
    assert "repository.upstreams[0].url: './units' is not a package repository" in caught.value.details
