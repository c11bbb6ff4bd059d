"""-R auto: measured over real connections."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from payload.errors import ResolveError, UsageError
from repos.probing import expand, rank_mirrors
from tests.unit.repos.manifests import manifest
from tests.unit.repos.packages import Spec, write_repository
from tests.unit.repos.server import Behaviour, serve


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    return write_repository(tmp_path / "9" / "base", [Spec(f"p{number}", "1") for number in range(500)]).parent.parent


def test_the_fastest_first_and_the_dead_out(repository: Path, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with (
        serve(repository, Behaviour()) as fast,
        serve(repository, Behaviour(rate=100_000)) as slow,
        serve(empty, Behaviour()) as bare,
    ):
        mirrors = {
            "fast": {"base": f"{fast}/$releasever/base"},
            "slow": {"base": f"{slow}/$releasever/base"},
            "bare": {"base": f"{bare}/$releasever/base"},
            "dead": {"base": "http://127.0.0.1:1/base"},
            "other": {"extra": fast},
        }
        ranking = rank_mirrors(manifest(mirrors=mirrors), {"releasever": "9"})
    assert ranking.usable == ("fast", "slow")
    faults = {probe.name: probe.fault for probe in ranking.probes}
    assert "answers 404" in faults["bare"]
    assert faults["dead"]
    assert faults["other"] == "does not have base"
    lines = ranking.table().splitlines()
    assert lines[0].startswith("fast ")
    assert "MB/s" in lines[0]
    assert sum("out: " in line for line in lines) == 3


def test_a_slow_mirror_does_not_hold_it_up(repository: Path) -> None:
    with serve(repository, Behaviour(rate=20_000)) as slow:
        begun = time.monotonic()
        ranking = rank_mirrors(manifest(mirrors={"slow": {"base": f"{slow}/9/base"}}), {}, timeout=0.5)
    assert time.monotonic() - begun < 5
    assert ranking.usable == ("slow",)


def test_only_a_sample_is_read(repository: Path) -> None:
    behaviour = Behaviour()
    with serve(repository, behaviour) as url:
        rank_mirrors(manifest(mirrors={"one": {"base": f"{url}/9/base"}}), {}, sample=1000)
    assert behaviour.requests[1] == ("/9/base/repodata/primary.xml.gz", "bytes=0-999")


def test_a_folder_of_this_host(repository: Path) -> None:
    ranking = rank_mirrors(manifest(mirrors={"disk": {"base": f"file://{repository}/9/base"}}), {})
    assert ranking.usable == ("disk",)


def test_no_mirror_answers() -> None:
    with pytest.raises(ResolveError) as caught:
        rank_mirrors(manifest(mirrors={"dead": {"base": "http://127.0.0.1:1"}}), {})
    assert caught.value.code == "no-mirror-answers"
    assert caught.value.details.startswith("dead  out: ")


def test_no_mirrors_at_all() -> None:
    with pytest.raises(UsageError):
        rank_mirrors(manifest(), {})


def test_variables() -> None:
    found = expand("http://x/$releasever/${basearch}/$other", {"releasever": "9", "basearch": "x86_64"})
    assert found == "http://x/9/x86_64/$other"
