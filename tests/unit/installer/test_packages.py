"""What of the packages lies on a host."""

from __future__ import annotations

from pathlib import Path

from installer.packages import kept_packages
from installer.steps.stage import INDEX_NAME
from payload.archive import open_bundle
from payload.model import LockedRpm
from payload.trust import Keyring, PrivateKey
from repos.nevra import Nevra
from repos.offline import PACKAGES_FOLDER
from tests.unit.payload import bundles


def rpm(name: str) -> LockedRpm:
    return LockedRpm(
        name=name,
        epoch=1,
        version="2",
        release="3",
        arch="noarch",
        upstream="base",
        location=f"Packages/{name}-2-3.noarch.rpm",
        digest="sha256:" + "0" * 64,
        size=1,
        requested=True,
    )


def test_an_undo_finds_the_packages_whose_files_stayed(tmp_path: Path) -> None:
    key = PrivateKey.generate("vendor")
    index = open_bundle(bundles.build(tmp_path, key)).verify(Keyring(keys=(key.public,))).index
    lock = index.lock.model_copy(update={"rpms": (rpm("stayed"), rpm("never-installed"))})
    release = tmp_path / "release"
    (release / PACKAGES_FOLDER).mkdir(parents=True)
    (release / PACKAGES_FOLDER / "stayed-2-3.noarch.rpm").touch()
    text = index.model_copy(update={"lock": lock}).model_dump_json(by_alias=True)
    (release / INDEX_NAME).write_text(text)
    assert kept_packages(release) == {Nevra.parse("stayed-1:2-3.noarch")}


def test_a_damaged_release_offers_none(tmp_path: Path) -> None:
    assert kept_packages(tmp_path / "not-there") == frozenset()
    (tmp_path / INDEX_NAME).write_text("{")
    assert kept_packages(tmp_path) == frozenset()
