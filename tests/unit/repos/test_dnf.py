"""The host's package manager: its words as values, and its deeds in a root folder of its own, by real dnf and rpm."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from payload import effects
from payload.errors import CommandError, NeedsOperatorError, UsageError
from repos.createrepo import create_repository
from repos.dnf import PackageManager, Source, Undo, detect, undo_plan
from repos.mirrors import mirror_repositories
from repos.nevra import Nevra
from repos.offline import bundle_repository
from tests.unit.repos.conftest import Signer
from tests.unit.repos.manifests import manifest
from tests.unit.repos.packages import Spec, build_rpm
from tests.unit.repos.server import Behaviour, serve

SOURCE = Source(Path("/opt/thing/releases/1.0/yum.repos.d"), ("thing-bundle",))
OWN = ["--disablerepo=*", "--enablerepo=thing-bundle"]
TOOL = Nevra("tool", 0, "1", "1", "noarch")
OLD, NEW = Nevra("library", 1, "1", "1", "noarch"), Nevra("library", 1, "2", "1", "noarch")
KEY = Nevra("gpg-pubkey", 0, "fd431d51", "4ae0493b", "(none)")


def test_install_words_of_dnf() -> None:
    argv = PackageManager("/usr/bin/dnf", "dnf").install_argv(SOURCE, ["tool >= 1", "other"])
    assert list(argv) == [
        "/usr/bin/dnf",
        "-y",
        "--noplugins",
        "--setopt=reposdir=/opt/thing/releases/1.0/yum.repos.d",
        "--setopt=skip_if_unavailable=0",
        "--setopt=gpgcheck=1",
        "--setopt=clean_requirements_on_remove=0",
        "--refresh",
        "--setopt=install_weak_deps=0",
        *OWN,
        "install",
        "tool >= 1",
        "other",
    ]


def test_install_words_of_yum() -> None:
    argv = PackageManager("/usr/bin/yum", "yum").install_argv(SOURCE, ["tool"])
    assert not {"--setopt=install_weak_deps=0", "--refresh"} & set(argv)
    assert [*OWN, "install", "tool"] == list(argv[-4:])


def test_restore_words() -> None:
    plan = Undo((), (OLD, TOOL))
    (dnf,) = PackageManager("dnf", "dnf").restore_argvs((SOURCE,), plan, frozenset({NEW}))
    assert dnf[-4:] == ("--allowerasing", "install", "library-1:1-1.noarch", "tool-1-1.noarch")
    down, install = PackageManager("yum", "yum").restore_argvs((SOURCE,), plan, frozenset({NEW}))
    assert down[-2:] == ("downgrade", "1:library-1-1.noarch")
    assert install[-2:] == ("install", "tool-1-1.noarch")


def test_erase_words() -> None:
    argv = PackageManager("dnf", "dnf").erase_argv((NEW, KEY))
    assert argv == ("rpm", "--erase", "library-1:2-1.noarch", "gpg-pubkey-fd431d51-4ae0493b")


def test_undo_plan() -> None:
    assert undo_plan(frozenset({OLD}), frozenset({OLD})).empty
    assert undo_plan(frozenset({OLD}), frozenset({NEW, TOOL, KEY})) == Undo((KEY, TOOL), (OLD,))
    assert undo_plan(frozenset({OLD, TOOL}), frozenset({OLD})) == Undo((), (TOOL,))


@pytest.mark.parametrize(("programs", "kind"), [(["dnf", "yum"], "dnf"), (["yum"], "yum")])
def test_detect(tmp_path: Path, programs: Sequence[str], kind: str) -> None:
    for name in programs:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    assert detect(str(tmp_path)) == PackageManager(str(tmp_path / kind), "dnf" if kind == "dnf" else "yum")


def test_detect_nothing(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        detect(str(tmp_path))


# --- a host in a folder -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def releases(tmp_path_factory: pytest.TempPathFactory, signers: tuple[Signer, Signer]) -> dict[str, Source]:
    """Two releases with a repository each (the second in a folder with a blank in its name), and an unsigned one."""
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
        "2": _release(top / "2 0", two, signers[0], sign=True),
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
    (release / "keys").mkdir()
    shutil.copy(signer.public, release / "keys" / "base-0.asc")
    file = bundle_repository(manifest(), release)
    (release / "yum.repos.d").mkdir()
    (release / "yum.repos.d" / "private.repo").write_text(file.render())
    return Source(release / "yum.repos.d", file.ids)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageManager]:
    """dnf on an empty root. Its rpm keeps the database where rpm's own default is (Debian's would use the home)."""
    home = tmp_path / "home"
    home.mkdir()
    (home / ".rpmmacros").write_text("%_dbpath /var/lib/rpm\n")
    monkeypatch.setenv("HOME", str(home))
    root = tmp_path / "root"
    root.mkdir()
    yield PackageManager("/usr/bin/dnf", "dnf", root)
    for ring in root.glob("var/cache/dnf/*/pubring"):  # dnf leaves an agent running for each
        effects.run(["gpgconf", "--homedir", ring, "--kill", "all"])


def names(packages: frozenset[Nevra]) -> set[str]:
    return {nevra.short for nevra in packages if nevra.name != "gpg-pubkey"}


def test_install_upgrade_and_undo(host: PackageManager, releases: dict[str, Source]) -> None:
    empty = host.installed()
    assert empty == frozenset()
    assert host.missing(["tool >= 1", "/opt/tool/file"]) == ("tool >= 1", "/opt/tool/file")
    lines: list[str] = []
    host.install(releases["1"], ["tool >= 1"], on_line=lines.append)
    assert any("Complete!" in line for line in lines)
    before = host.installed()
    assert names(before) == {"library-1:1-1.noarch", "tool-1-1.noarch"}
    assert len(before) == 3, "the key that dnf took in is seen too"
    assert host.missing(["tool >= 1", "library = 1:1", "/opt/tool/file", "tool > 1", "none"]) == ("tool > 1", "none")

    host.install(releases["2"], ["tool >= 2"])
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
    host.install(source, ["library"])
    shutil.rmtree(served / "repository")
    shutil.copytree(releases["2"].reposdir.parent / "repository", served / "repository")
    host.install(source, ["library >= 1:2"])
    assert names(host.installed()) == {"added-1-1.noarch", "library-1:2-1.noarch"}


def test_a_mirror_with_signed_metadata(
    host: PackageManager, releases: dict[str, Source], signers: tuple[Signer, Signer], tmp_path: Path
) -> None:
    release = tmp_path / "release"
    shutil.copytree(releases["1"].reposdir.parent, release)
    repomd = release / "repository" / "repodata" / "repomd.xml"
    with serve(release / "repository", Behaviour()) as url:
        file = mirror_repositories(manifest(mirrors={"near": {"base": url}}), "near", release)
        (release / "yum.repos.d" / "private.repo").write_text(file.render())
        source = Source(release / "yum.repos.d", file.ids)
        signers[1].sign_file(repomd)
        with pytest.raises(CommandError) as caught:
            host.install(source, ["library"])
        assert "GPG signature verification error" in caught.value.output
        assert names(host.installed()) == set()
        signers[0].sign_file(repomd)
        host.install(source, ["library"])
    assert names(host.installed()) == {"library-1:1-1.noarch"}


def test_preview_changes_nothing(host: PackageManager, releases: dict[str, Source]) -> None:
    for release in ("1", "2"):
        assert "library" in host.preview(releases[release], ["tool"])
    assert host.installed() == frozenset()
    with pytest.raises(CommandError):
        host.preview(releases["1"], ["nowhere"])


def test_an_unsigned_package_is_refused(host: PackageManager, releases: dict[str, Source]) -> None:
    with pytest.raises(CommandError) as caught:
        host.install(releases["bad"], ["evil"])
    assert "evil-1-1.noarch.rpm is not signed" in caught.value.output
    assert host.installed() == frozenset()


def test_a_repository_that_is_gone_is_an_error(host: PackageManager, tmp_path: Path) -> None:
    file = bundle_repository(manifest(), tmp_path / "gone")
    (tmp_path / "private.repo").write_text(file.render())
    with pytest.raises(CommandError) as caught:
        host.install(Source(tmp_path, file.ids), ["tool"])
    assert "repomd.xml" in caught.value.output


def test_erase_takes_nothing_else_along(host: PackageManager, releases: dict[str, Source]) -> None:
    host.install(releases["1"], ["tool"])
    before = host.installed()
    with pytest.raises(CommandError):
        host.erase([Nevra("library", 1, "1", "1", "noarch")])
    assert host.installed() == before
    host.erase([Nevra("tool", 0, "1", "1", "noarch")])
    assert names(host.installed()) == {"library-1:1-1.noarch"}
    host.erase([])


def test_an_undo_that_cannot_be_done_names_what_is_left(host: PackageManager, releases: dict[str, Source]) -> None:
    host.install(releases["1"], ["tool"])
    before = host.installed()
    host.install(releases["2"], ["tool >= 2"])
    with pytest.raises(NeedsOperatorError) as caught:
        host.undo(before, (releases["2"],))
    assert "tool-1-1.noarch was there before and is not now" in caught.value.details
