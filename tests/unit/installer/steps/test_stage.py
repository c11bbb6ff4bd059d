"""Laying out a release from an upgrade bundle that lacks packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from installer.steps import Host, StageRelease
from installer.steps.stage import INDEX_NAME, BaseRelease
from payload.errors import IntegrityError
from payload.events import NullSink
from tests.unit.installer.upgrades import INSIDE, LEFT_PATH, SOURCE_PATH, TAKEN, TAKEN_PATH, upgrade_bundle


def stage(folder: Path, content: bytes, *, all_packages: bool = False) -> Path:
    """The release folder, from a base whose file of the package has `content`."""
    old, release = folder / "old", folder / "releases/1.0"
    (old / SOURCE_PATH).parent.mkdir(parents=True)
    (old / SOURCE_PATH).write_bytes(content)
    host = Host(scratch=folder / "scratch", sink=NullSink(), bundle=upgrade_bundle(folder))
    step = StageRelease(release=release, all_packages=all_packages, base=BaseRelease(0, old), reason="a test")
    step.apply(host, step.prepare(host))
    return release


def packages(release: Path) -> set[str]:
    return {str(path.relative_to(release)) for path in release.rglob("*.rpm")}


@pytest.mark.parametrize("all_packages", [False, True])
def test_a_package_that_the_bundle_lacks_is_laid_out_for_who_installs_it(tmp_path: Path, all_packages: bool) -> None:
    release = stage(tmp_path, TAKEN, all_packages=all_packages)
    inside = {path for path in INSIDE if path.endswith(".rpm")}
    assert packages(release) == {TAKEN_PATH} | (inside if all_packages else set())
    assert (release / TAKEN_PATH).read_bytes() == TAKEN
    assert not (release / LEFT_PATH).exists(), "it is installed, and lies nowhere"


def test_a_package_that_was_altered_is_named(tmp_path: Path) -> None:
    with pytest.raises(IntegrityError) as caught:
        stage(tmp_path, TAKEN[:-1] + b"x")
    assert caught.value.code == "base-altered"
    assert SOURCE_PATH in caught.value.details and TAKEN_PATH in caught.value.details


def test_an_undone_repair_leaves_no_half_file(tmp_path: Path) -> None:
    host = Host(scratch=tmp_path / "scratch", sink=NullSink())
    release = tmp_path / "releases/1.0"
    release.mkdir(parents=True)
    step = StageRelease(release=release, repair=True, reason="a test")
    undo = step.prepare(host)
    (release / f".{INDEX_NAME}.sealift-cut-off").touch()
    step.undo(undo, host)
    assert [*release.iterdir()] == []
