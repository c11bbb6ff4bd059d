"""What of the packages lies on a host."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from installer.packages import check_left_packages, kept_packages
from installer.steps.stage import INDEX_NAME
from payload.archive import open_bundle
from payload.errors import PreflightError
from payload.index import index_text
from payload.lock import LockedRpm
from payload.model import Borrowed
from payload.signing import PrivateKey
from payload.trust import Keyring
from repos.nevra import Nevra
from repos.offline import PACKAGES_FOLDER
from tests.unit.payload import bundles


def rpm(name: str, digit: str = "0") -> LockedRpm:
    location = f"Packages/{name}-2-3.noarch.rpm"
    return bundles.locked_rpm(name, digit, epoch=1, version="2", release="3", location=location)


def test_an_undo_finds_the_packages_whose_files_stayed(tmp_path: Path) -> None:
    key = PrivateKey.generate("vendor")
    index = open_bundle(bundles.build(tmp_path, key)).verify(Keyring(keys=(key.public,))).index
    lock = index.lock.model_copy(update={"rpms": (rpm("stayed"), rpm("never-installed"))})
    release = tmp_path / "release"
    (release / PACKAGES_FOLDER).mkdir(parents=True)
    (release / PACKAGES_FOLDER / "stayed-2-3.noarch.rpm").touch()
    text = index_text(replace(index, lock_table=lock.to_table())).decode()
    (release / INDEX_NAME).write_text(text)
    assert kept_packages(release) == {Nevra.parse("stayed-1:2-3.noarch")}


def test_a_damaged_release_offers_none(tmp_path: Path) -> None:
    assert kept_packages(tmp_path / "not-there") == frozenset()
    (tmp_path / INDEX_NAME).write_text("{")
    assert kept_packages(tmp_path) == frozenset()
    index = open_bundle(bundles.build(tmp_path, PrivateKey.generate("vendor"))).claimed
    malformed = {**index.lock_table, "pip": 1}
    (tmp_path / INDEX_NAME).write_bytes(index_text(replace(index, lock_table=malformed)))
    assert kept_packages(tmp_path) == frozenset()


def test_packages_that_are_left_to_the_host_must_be_there(tmp_path: Path) -> None:
    key = PrivateKey.generate("vendor")
    index = open_bundle(bundles.build(tmp_path, key)).claimed
    rpms = (rpm("same", "1"), rpm("inside", "2"), rpm("gone", "3"), rpm("rebuilt", "4"))
    left = tuple(Borrowed(digest=each.digest, size=1, header="a" * 64) for each in rpms if each.name != "inside")
    index = replace(index, lock_table=index.lock.model_copy(update={"rpms": rpms}).to_table(), borrowed=left)
    have = {Nevra.parse(f"{name}-1:2-3.noarch"): header * 64 for name, header in (("same", "a"), ("rebuilt", "b"))}
    with pytest.raises(PreflightError) as caught:
        check_left_packages(index, have)
    assert caught.value.code == "host-changed"
    assert [line.split(":")[0] for line in caught.value.details.splitlines()] == ["gone-1", "rebuilt-1"]
    assert f"needs gone-2-3.noarch.rpm (1 bytes, {rpms[2].digest})" in caught.value.details
    check_left_packages(index, {Nevra.parse(each.nevra): "a" * 64 for each in rpms})
