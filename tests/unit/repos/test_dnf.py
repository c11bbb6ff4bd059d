"""The host's package manager: what it is, and its deeds in a root folder of its own, by real dnf and rpm.

The deeds are done by the dnf of this machine; if SEALIFT_DNF5 names a dnf 5, which Debian 12 has not, by that as well.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from payload.errors import CommandError, NeedsOperatorError, UsageError
from repos.createrepo import create_repository
from repos.dialect import Dialect, Kind, Source
from repos.dnf import PackageManager, Undo, detect, undo_plan
from repos.header import read_header_digest, read_rpm
from repos.mirrors import System, mirror_repositories
from repos.nevra import Nevra
from repos.offline import bundle_repository, rpm_key_name
from repos.serving import FolderFiles, serving
from tests.unit.repos.conftest import Signer
from tests.unit.repos.manifests import manifest
from tests.unit.repos.packages import Spec, build_rpm
from tests.unit.repos.server import Behaviour, serve

PROGRAMS: list[tuple[str, Kind]] = [("/usr/bin/dnf", "dnf")]
if program := os.environ.get("SEALIFT_DNF5"):
    PROGRAMS.append((program, "dnf5"))
SOURCE = Source(Path("/opt/thing/releases/1.0/yum.repos.d"), ("thing-bundle",))
OWN = ["--disablerepo=*", "--enablerepo=thing-bundle"]
TOOL = Nevra("tool", 0, "1", "1", "noarch")
OLD, NEW = Nevra("library", 1, "1", "1", "noarch"), Nevra("library", 1, "2", "1", "noarch")
KEY = Nevra("gpg-pubkey", 0, "fd431d51", "4ae0493b", "(none)")


def test_erase_words() -> None:
    argv = PackageManager(Dialect("dnf", "dnf")).erase_argv((NEW, KEY))
    assert argv == ("rpm", "--erase", "library-1:2-1.noarch", "gpg-pubkey-fd431d51-4ae0493b")


def test_undo_plan() -> None:
    assert undo_plan(frozenset({OLD}), frozenset({OLD})).empty
    assert undo_plan(frozenset({OLD}), frozenset({NEW, TOOL, KEY})) == Undo((KEY, TOOL), (OLD,))
    assert undo_plan(frozenset({OLD, TOOL}), frozenset({OLD})) == Undo((), (TOOL,))


def test_an_undo_of_some_packages() -> None:
    plan = undo_plan(frozenset({OLD}), frozenset({NEW, TOOL, KEY}))
    assert plan.only(None) == plan
    assert plan.only(frozenset({("tool", "noarch")})) == Undo((KEY, TOOL), ())
    assert plan.only(frozenset()) == Undo((KEY,), ())


@pytest.mark.parametrize(
    ("programs", "name", "kind"),
    [
        ({"dnf": "dnf-3", "yum": "dnf-3"}, "dnf", "dnf"),
        ({"dnf": "dnf5", "yum": "dnf5"}, "dnf", "dnf5"),
        ({"dnf5": "dnf5"}, "dnf5", "dnf5"),
        ({"yum": "dnf-3"}, "yum", "dnf"),
        ({"yum": "yum"}, "yum", "yum"),
    ],
)
def test_detect(tmp_path: Path, programs: dict[str, str], name: str, kind: Kind) -> None:
    for link, target in programs.items():
        program = tmp_path / target
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        if link != target:
            (tmp_path / link).symlink_to(target)
    assert detect(str(tmp_path)) == PackageManager(Dialect(str(tmp_path / name), kind))


def test_detect_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        detect(str(tmp_path))


RECORDING = """#!/bin/sh
printf '%s\\n' "$*" >>"$0.calls"
case "$*" in
*makecache*) exit 0 ;;
*--assumeno*)
    cat <<END
Installing:
 tool             noarch          2-1                 ours                5.9 k

Total download size: 12 k
Exiting on user command
END
    exit 1 ;;
esac
"""


def test_yum_is_called_by_its_own_words(tmp_path: Path) -> None:
    """yum 3 is not to be had here: a program that only writes down how it is called stands for it."""
    program = tmp_path / "yum"
    program.write_text(RECORDING)
    program.chmod(0o755)
    yum = detect(str(tmp_path))
    preview = yum.preview((SOURCE,), ["tool >= 2"])
    assert [nevra.short for nevra in preview.of("install")] == ["tool-2-1.noarch"]
    yum.install((SOURCE,), ["tool >= 2"], comment="mine")
    assert yum.altered_by("mine") is None
    learn, show, install = (tmp_path / "yum.calls").read_text().splitlines()
    cache = install.split("cachedir=")[1].split(" ")[0]
    assert not Path(cache).exists()
    words = (
        f"--noplugins --setopt=reposdir={SOURCE.reposdir} --setopt=cachedir={cache} --setopt=skip_if_unavailable=0 "
        f"--setopt=gpgcheck=1 --setopt=clean_requirements_on_remove=0 {' '.join(OWN)} install tool >= 2"
    )
    assert install == f"-y {words}"
    assert show.startswith("--assumeno --noplugins ")
    assert learn.endswith(f"{' '.join(OWN)} makecache")


# --- a host in a folder -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory, signers: tuple[Signer, Signer]) -> dict[str, Source]:
    """Two releases with a repository each, and an unsigned one."""
    top = tmp_path_factory.mktemp("releases")
    one = (Spec("library", "1", epoch=1), Spec("tool", "1", requires=("library",), files=("/opt/tool/file",)))
    two = (
        Spec("library", "2", epoch=1, requires=("added",)),
        Spec("tool", "2", requires=("library >= 1:2",), files=("/opt/tool/file",)),
        Spec("added", "1"),
    )
    bad = (Spec("evil", "1"),)
    return {
        "1": _release(top / "1.0", one, signers[0], sign=True),
        "2": _release(top / "2.0", two, signers[0], sign=True),
        "bad": _release(top / "bad", bad, signers[0], sign=False),
    }


def _release(release: Path, specs: Sequence[Spec], signer: Signer, *, sign: bool) -> Source:
    packages = release / "repository" / "Packages"
    built = [build_rpm(spec, release / "built") for spec in specs]
    if sign:
        signer.sign_rpm(*built)
    packages.mkdir(parents=True)
    for path in built:
        shutil.move(path, packages)
    shutil.rmtree(release / "built")
    create_repository(release / "repository", revision=1)
    signer.sign_file(release / "repository" / "repodata" / "repomd.xml")
    shutil.copy(signer.public, release / "repository" / rpm_key_name("thing"))
    (release / "keys").mkdir()
    shutil.copy(signer.public, release / "keys" / "base-0.asc")
    file = bundle_repository(manifest(), release)
    (release / "yum.repos.d").mkdir()
    (release / "yum.repos.d" / "private.repo").write_text(file.render())
    return Source(release / "yum.repos.d", file.ids)


@pytest.fixture(params=PROGRAMS)
def host(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageManager]:
    """dnf on an empty root. Its rpm keeps the database where rpm's own default is (Debian's would use the home)."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
    monkeypatch.setenv("HOME", str(home))
    root = tmp_path / "root"
    root.mkdir()
    program, kind = request.param
    yield PackageManager(Dialect(program, kind, root))


def names(packages: frozenset[Nevra]) -> set[str]:
    return {nevra.short for nevra in packages if nevra.name != "gpg-pubkey"}


def test_install_upgrade_and_undo(host: PackageManager, releases: dict[str, Source]) -> None:
    empty = host.installed()
    assert empty == frozenset()
    assert host.missing(["tool >= 1", "/opt/tool/file"]) == ("tool >= 1", "/opt/tool/file")
    lines: list[str] = []
    host.install((releases["1"],), ["tool >= 1"], on_line=lines.append)
    assert any("Complete!" in line for line in lines)
    before = host.installed()
    assert names(before) == {"library-1:1-1.noarch", "tool-1-1.noarch"}
    assert len(before) == 3, "the key that dnf took in is seen too"
    assert host.missing(["tool >= 1", "library = 1:1", "/opt/tool/file", "tool > 1", "none"]) == ("tool > 1", "none")

    host.install((releases["2"],), ["tool >= 2"])
    assert names(host.installed()) == {"added-1-1.noarch", "library-1:2-1.noarch", "tool-2-1.noarch"}
    assert host.undo(before, (releases["1"],)) == before
    assert host.undo(before, (releases["1"],)) == before

    assert host.undo(empty, (releases["1"],)) == empty


def test_a_repository_that_changed_is_read_again(
    host: PackageManager, releases: dict[str, Source], tmp_path: Path
) -> None:
    served = tmp_path / "release"
    shutil.copytree(releases["1"].reposdir.parent, served)
    file = bundle_repository(manifest(), served)
    (served / "yum.repos.d" / "private.repo").write_text(file.render())
    source = Source(served / "yum.repos.d", file.ids)
    host.install((source,), ["library"])
    shutil.rmtree(served / "repository")
    shutil.copytree(releases["2"].reposdir.parent / "repository", served / "repository")
    host.install((source,), ["library >= 1:2"])
    assert names(host.installed()) == {"added-1-1.noarch", "library-1:2-1.noarch"}


def test_a_folder_with_a_blank_in_its_path(host: PackageManager, releases: dict[str, Source], tmp_path: Path) -> None:
    """dnf 5 takes the escaped path of a key by its letters, and fails: there is no other way to write one."""
    release = tmp_path / "2 0"
    shutil.copytree(releases["2"].reposdir.parent, release)
    file = bundle_repository(manifest(), release)
    (release / "yum.repos.d" / "private.repo").write_text(file.render())
    source = Source(release / "yum.repos.d", file.ids)
    if host.dialect.kind == "dnf5":
        with pytest.raises(CommandError, match="Failed to read key"):
            host.install((source,), ["added"])
    else:
        host.install((source,), ["added"])
        assert names(host.installed()) == {"added-1-1.noarch"}


def test_a_mirror_with_signed_metadata(
    host: PackageManager, releases: dict[str, Source], signers: tuple[Signer, Signer], tmp_path: Path
) -> None:
    release = tmp_path / "release"
    shutil.copytree(releases["1"].reposdir.parent, release)
    repomd = release / "repository" / "repodata" / "repomd.xml"
    with serve(release / "repository", Behaviour()) as url:
        file = mirror_repositories(manifest(mirrors={"near": {"base": url}}), "near", release, System())
        (release / "yum.repos.d" / "private.repo").write_text(file.render())
        source = Source(release / "yum.repos.d", file.ids)
        signers[1].sign_file(repomd)
        with pytest.raises(CommandError) as caught:
            host.install((source,), ["library"])
        assert "GPG signature verification error" in caught.value.output
        assert names(host.installed()) == set()
        signers[0].sign_file(repomd)
        host.install((source,), ["library"])
    assert names(host.installed()) == {"library-1:1-1.noarch"}


def test_headers_of_installed_packages_are_those_of_their_files(
    host: PackageManager, releases: dict[str, Source]
) -> None:
    host.install((releases["1"],), ["tool"])
    files = releases["1"].reposdir.parent.rglob("*.rpm")
    found = {nevra: header for nevra, header in host.headers().items() if nevra.name != KEY.name}
    assert found == {read_rpm(path).nevra: read_header_digest(path) for path in files}


def test_what_is_installed_need_not_lie_in_the_repository(
    host: PackageManager, releases: dict[str, Source], tmp_path: Path
) -> None:
    """Metadata lists it, and it is the installed one: nothing asks for its file. That of a bundle for one host."""
    host.install((releases["1"],), ["library"])
    release = Path(shutil.copytree(releases["1"].reposdir.parent, tmp_path / "release"))
    (left,) = release.rglob("library-*.rpm")
    left.unlink()
    file = bundle_repository(manifest(), release)
    (release / "yum.repos.d" / "private.repo").write_text(file.render())
    source = Source(release / "yum.repos.d", file.ids)
    assert [nevra.short for nevra in host.preview((source,), ["tool"]).of("install")] == ["tool-1-1.noarch"]
    host.install((source,), ["tool"])
    assert names(host.installed()) == {"library-1:1-1.noarch", "tool-1-1.noarch"}


def test_preview_changes_nothing(host: PackageManager, releases: dict[str, Source]) -> None:
    for release, version in (("1", "1"), ("2", "2")):
        preview = host.preview((releases[release],), ["tool"])
        assert f"tool-{version}-1.noarch" in {nevra.short for nevra in preview.of("install")}
        assert preview.download_size > 0
    assert host.installed() == frozenset()
    assert host.preview((releases["1"],), []).changes == ()
    with pytest.raises(CommandError):
        host.preview((releases["1"],), ["nowhere"])


def test_preview_of_an_upgrade(host: PackageManager, releases: dict[str, Source]) -> None:
    host.install((releases["1"],), ["tool"])
    before = host.installed()
    preview = host.preview((releases["2"],), ["tool >= 2"])
    assert {nevra.short for nevra in preview.of("install")} == {"added-1-1.noarch"}
    assert {nevra.short for nevra in preview.of("upgrade")} == {"library-1:2-1.noarch", "tool-2-1.noarch"}
    assert preview.harmful(()) == ()
    assert host.installed() == before


def test_an_undo_is_for_its_own_transaction(host: PackageManager, releases: dict[str, Source]) -> None:
    host.install((releases["1"],), ["library"])
    before = host.installed()
    host.install((releases["2"],), ["library >= 1:2"], comment="sealift one")
    host.install((releases["1"],), ["tool"], comment="somebody else")
    assert host.altered_by("sealift one") == frozenset({("library", "noarch"), ("added", "noarch")})
    assert host.altered_by("sealift two") == frozenset()
    now = host.undo(before, (releases["1"],), altered=host.altered_by("sealift one"))
    assert names(now) == {"library-1:1-1.noarch", "tool-1-1.noarch"}


def test_metadata_of_a_bundle_is_signed(host: PackageManager, releases: dict[str, Source], tmp_path: Path) -> None:
    release = tmp_path / "release"
    shutil.copytree(releases["1"].reposdir.parent, release)
    file = bundle_repository(manifest(), release)
    (release / "yum.repos.d" / "private.repo").write_text(file.render())
    (release / "repository" / "repodata" / "repomd.xml.asc").unlink()
    source = Source(release / "yum.repos.d", file.ids)
    for call in (host.preview, host.install):
        with pytest.raises(CommandError) as caught:
            call((source,), ["library"])
        assert "repomd.xml" in caught.value.output
    assert host.installed() == frozenset()


def test_a_proxy_is_not_asked_for_what_is_here(
    host: PackageManager, releases: dict[str, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = releases["1"].reposdir.parent
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    (host.dialect.root or tmp_path).joinpath("etc/dnf").mkdir(parents=True)
    (host.dialect.root or tmp_path).joinpath("etc/dnf/dnf.conf").write_text("[main]\nproxy=http://127.0.0.1:1\n")
    with serving(FolderFiles(release / "repository")) as url:
        file = bundle_repository(manifest(), release, url=url)
        (tmp_path / "repos").mkdir()
        (tmp_path / "repos" / "private.repo").write_text(file.render())
        host.install((Source(tmp_path / "repos", file.ids),), ["library"])
    assert names(host.installed()) == {"library-1:1-1.noarch"}


def test_a_mirror_is_reached_through_the_proxy(
    host: PackageManager, releases: dict[str, Source], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The name of the mirror is known to nobody here: without the proxy nothing would come."""
    release, behaviour = releases["1"].reposdir.parent, Behaviour()
    (tmp_path / "proxy" / "http:").mkdir(parents=True)
    (tmp_path / "proxy" / "http:" / "mirror.invalid").symlink_to(release / "repository")
    file = mirror_repositories(manifest(), "http://mirror.invalid", release, System())
    (tmp_path / "mirror.repo").write_text(file.render())
    with serve(tmp_path / "proxy", behaviour) as proxy:
        monkeypatch.setenv("http_proxy", proxy)
        host.install((Source(tmp_path, file.ids),), ["library"])
    assert names(host.installed()) == {"library-1:1-1.noarch"}
    assert all(path.startswith("http://mirror.invalid/") for path, _ in behaviour.requests)


def test_the_bundle_before_a_mirror(host: PackageManager, releases: dict[str, Source], tmp_path: Path) -> None:
    """Newer versions of the mirror are not taken, what the bundle lacks is."""
    release, upstream = releases["1"].reposdir.parent, releases["2"].reposdir.parent
    with serving(FolderFiles(upstream / "repository")) as url:
        file = mirror_repositories(manifest(signed=False), url, release, System())
        (tmp_path / "mirror.repo").write_text(file.render())
        preview = host.preview((releases["1"], Source(tmp_path, file.ids)), ["tool", "added"])
    assert {nevra.short for nevra in preview.of("install")} == {
        "added-1-1.noarch",
        "library-1:1-1.noarch",
        "tool-1-1.noarch",
    }


def test_an_unsigned_package_is_refused(host: PackageManager, releases: dict[str, Source]) -> None:
    with pytest.raises(CommandError) as caught:
        host.install((releases["bad"],), ["evil"])
    assert "evil-1-1.noarch.rpm" in caught.value.output
    assert "is not signed" in caught.value.output
    assert host.installed() == frozenset()


def test_a_repository_that_is_gone_is_an_error(host: PackageManager, tmp_path: Path) -> None:
    file = bundle_repository(manifest(), tmp_path / "gone")
    (tmp_path / "private.repo").write_text(file.render())
    with pytest.raises(CommandError) as caught:
        host.install((Source(tmp_path, file.ids),), ["tool"])
    assert "repomd.xml" in caught.value.output


def test_erase_takes_nothing_else_along(host: PackageManager, releases: dict[str, Source]) -> None:
    host.install((releases["1"],), ["tool"])
    before = host.installed()
    with pytest.raises(CommandError):
        host.erase([Nevra("library", 1, "1", "1", "noarch")])
    assert host.installed() == before
    host.erase([Nevra("tool", 0, "1", "1", "noarch")])
    assert names(host.installed()) == {"library-1:1-1.noarch"}
    host.erase([])


def test_keys_that_were_erased_come_back(host: PackageManager, releases: dict[str, Source]) -> None:
    host.install((releases["1"],), ["tool"])
    before = host.installed()
    keys = host.keys(before)
    assert len(keys) == 1 and keys[0].startswith("-----BEGIN PGP PUBLIC KEY BLOCK-----")
    host.erase(before)
    assert host.installed() == frozenset()
    assert host.undo(before, (releases["1"],), keys=keys) == before
    host.erase(nevra for nevra in before if nevra.name == "gpg-pubkey")
    assert host.undo(before, (releases["1"],), keys=keys) == before


def test_an_undo_that_cannot_be_done_names_what_is_left(host: PackageManager, releases: dict[str, Source]) -> None:
    host.install((releases["1"],), ["tool"])
    before = host.installed()
    host.install((releases["2"],), ["tool >= 2"])
    with pytest.raises(NeedsOperatorError) as caught:
        host.undo(before, (releases["2"],))
    assert "tool-1-1.noarch was there before and is not now" in caught.value.details
