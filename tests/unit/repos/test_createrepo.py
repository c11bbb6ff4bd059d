"""Metadata that dnf reads, the same each time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from payload import effects
from payload.errors import IntegrityError
from payload.events import NullSink
from payload.manifest import Upstream
from payload.store import Store
from repos.closure import resolve_closure
from repos.createrepo import create_repository
from repos.metadata import load_metadata
from repos.sync import Fetcher

REVISION = 1_700_000_000


def make(folder: Path, rpms: dict[str, Path], *, order: int = 1, mtime: int = 1) -> Path:
    (folder / "Packages").mkdir(parents=True)
    for path in list(rpms.values())[::order]:
        shutil.copy(path, folder / "Packages")
        os.utime(folder / "Packages" / path.name, (mtime, mtime))
    return folder


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_same_bytes_twice(rpms: dict[str, Path], tmp_path: Path) -> None:
    one, two = make(tmp_path / "one", rpms), make(tmp_path / "two", rpms, order=-1, mtime=99)
    assert create_repository(one, revision=REVISION) == create_repository(two, revision=REVISION) == len(rpms)
    assert content(one) == content(two)
    first = content(one)
    create_repository(one, revision=REVISION)
    assert content(one) == first
    assert sum("repodata/" in name for name in first) == 4
    assert all(name.endswith((".rpm", ".xml.gz", "repomd.xml")) for name in first)


def test_another_revision_is_written_everywhere(rpms: dict[str, Path], tmp_path: Path) -> None:
    folder = make(tmp_path / "one", rpms)
    create_repository(folder, revision=REVISION)
    repomd = (folder / "repodata" / "repomd.xml").read_text()
    assert f"<revision>{REVISION}</revision>" in repomd
    assert repomd.count(f"<timestamp>{REVISION}</timestamp>") == 3


def test_our_own_reader_reads_it(rpms: dict[str, Path], tmp_path: Path) -> None:
    folder = make(tmp_path / "one", rpms)
    shell = tmp_path / "store"
    create_repository(folder, revision=REVISION)
    upstream = Upstream(id="one", url=f"file://{folder}", gpg_keys=("k",), signed_metadata=False)
    metadata = load_metadata(upstream, [], Fetcher(Store(shell), NullSink()))
    found = resolve_closure(["library(api) = 2"], [metadata]).packages
    assert [str(package.nevra) for package in found] == ["library-1:1.2-3.noarch"]
    assert found[0].location == f"Packages/{rpms['library'].name}"
    assert found[0].size == rpms["library"].stat().st_size


def test_dnf_reads_it(rpms: dict[str, Path], tmp_path: Path) -> None:
    folder = make(tmp_path / "one", rpms)
    create_repository(folder, revision=REVISION)
    argv = ["dnf", "-q", "--installroot", str(tmp_path / "root"), "--releasever=1", "--noplugins"]
    argv += ["--repofrompath", f"one,file://{folder}", "--disablerepo=*", "--enablerepo=one"]
    argv += ["--setopt=reposdir=/nowhere", f"--setopt=cachedir={tmp_path}/cache", "repoquery", "--requires", "tool"]
    answer = effects.run(argv)
    assert set(answer.output.split("\n")) >= {"/bin/sh", "library >= 1:1.0", "library(api)"}


def test_a_file_that_is_no_rpm_leaves_the_old_metadata(rpms: dict[str, Path], tmp_path: Path) -> None:
    folder = make(tmp_path / "one", rpms)
    create_repository(folder, revision=REVISION)
    before = content(folder / "repodata")
    (folder / "Packages" / "broken.rpm").write_bytes(b"no rpm")
    with pytest.raises(IntegrityError) as caught:
        create_repository(folder, revision=REVISION)
    assert "broken.rpm" in caught.value.brief
    assert content(folder / "repodata") == before
    assert {path.name for path in folder.iterdir()} == {"Packages", "repodata"}


def test_many_packages_are_read_by_several_processes(
    rpms: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = make(tmp_path / "one", rpms), make(tmp_path / "two", rpms)
    create_repository(one, revision=REVISION)
    monkeypatch.setattr("repos.createrepo._SHARE", 1)  # as if two packages were a lot of work
    create_repository(two, revision=REVISION)
    assert content(two) == content(one)
    (two / "Packages" / "broken.rpm").write_bytes(b"no rpm")
    with pytest.raises(IntegrityError) as caught:
        create_repository(two, revision=REVISION)
    assert "broken.rpm is not a whole RPM package" in caught.value.brief
    assert content(two / "repodata") == content(one / "repodata")


def test_an_empty_folder(tmp_path: Path) -> None:
    assert create_repository(tmp_path, revision=REVISION) == 0
    assert (tmp_path / "repodata" / "repomd.xml").is_file()
