"""-R auto: measured over real connections."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from payload.errors import ResolveError, UsageError
from repos.mirrors import System
from repos.offline import key_path
from repos.probing import rank_mirrors
from repos.ranking import Limits, Probe, rank
from tests.unit.repos.conftest import Signer
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
        ranking = rank_mirrors(manifest(mirrors=mirrors, signed=False), System(variables={"releasever": "9"}), tmp_path)
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
    limits, behaviour = Limits(timeout=5), Behaviour(rate=20_000)
    os.truncate(repository / "9/base/repodata/primary.xml.gz", limits.sample)
    with serve(repository, behaviour) as slow:
        ranking = rank_mirrors(
            manifest(mirrors={"slow": {"base": f"{slow}/9/base"}}, signed=False), System(), repository, limits
        )
    assert ranking.usable == ("slow",)
    assert behaviour.sent < limits.sample


def test_only_a_sample_is_read(repository: Path) -> None:
    behaviour = Behaviour()
    with serve(repository, behaviour) as url:
        rank_mirrors(
            manifest(mirrors={"one": {"base": f"{url}/9/base"}}, signed=False),
            System(),
            repository,
            Limits(sample=1000),
        )
    assert behaviour.requests[1] == ("/9/base/repodata/primary.xml.gz", "bytes=0-999")


def test_a_folder_of_this_host(repository: Path) -> None:
    ranking = rank_mirrors(
        manifest(mirrors={"disk": {"base": f"file://{repository}/9/base"}}, signed=False), System(), repository
    )
    assert ranking.usable == ("disk",)


def test_no_mirror_answers() -> None:
    with pytest.raises(ResolveError) as caught:
        rank_mirrors(manifest(mirrors={"dead": {"base": "http://127.0.0.1:1"}}), System(), Path("/"))
    assert caught.value.code == "no-mirror-answers"
    assert caught.value.details.startswith("dead  out: ")


def test_no_mirrors_at_all() -> None:
    with pytest.raises(UsageError):
        rank_mirrors(manifest(), System(), Path("/"))


def test_a_signature_that_does_not_hold_is_out(repository: Path, signers: tuple[Signer, Signer]) -> None:
    place = repository / "9" / "base"
    keys = repository / key_path(manifest().repository.upstreams[0], 0)
    keys.parent.mkdir()
    keys.write_text(signers[0].public.read_text())
    with serve(repository, Behaviour()) as url:
        catalogue = manifest(mirrors={"one": {"base": f"{url}/9/base"}})
        for signer, usable in ((signers[0], True), (signers[1], False)):
            signer.sign_file(place / "repodata" / "repomd.xml")
            if usable:
                assert rank_mirrors(catalogue, System(), repository).usable == ("one",)
            else:
                with pytest.raises(ResolveError) as caught:
                    rank_mirrors(catalogue, System(), repository)
                assert "does not hold" in caught.value.details


def test_the_vault_answers_when_the_place_of_today_is_gone(repository: Path) -> None:
    behaviour = Behaviour()
    with serve(repository, behaviour) as url:
        places = [f"{url}/gone", {"url": f"{url}/8/base", "os": "rocky-8"}, f"{url}/9/base"]
        catalogue = manifest(mirrors={"one": {"base": places}}, signed=False)
        assert rank_mirrors(catalogue, System(("rocky",), "9.4"), repository).usable == ("one",)
    asked = [path for path, _ in behaviour.requests]
    assert asked[:2] == ["/gone/repodata/repomd.xml", "/9/base/repodata/repomd.xml"]


def test_the_proxy_of_the_package_manager_is_used(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    catalogue = manifest(mirrors={"one": {"base": "http://far.example.invalid/9/base"}}, signed=False)
    seen = Behaviour()
    with serve(repository, seen) as proxy, pytest.raises(ResolveError):
        rank_mirrors(catalogue, System(), repository, Limits(proxy=proxy))
    assert seen.requests[0][0] == "http://far.example.invalid/9/base/repodata/repomd.xml"


def test_what_lags_comes_last() -> None:
    day = 86400
    probes = [
        Probe("old", 1, 9e6, {"base": 100 * day}),
        Probe("new", 1, 1e6, {"base": 110 * day}),
        Probe("near", 1, 2e6, {"base": 108 * day}),
        Probe("dead", 1, 0, fault="is dead"),
    ]
    ranking = rank(probes)
    assert [probe.name for probe in ranking.probes] == ["near", "new", "old", "dead"]
    assert ranking.usable == ("near", "new", "old")
    assert [probe.lags for probe in ranking.probes] == [False, False, True, False]
    assert "of 1970-04-11  lags" in ranking.table()
    assert ranking.probes[2].body()["lags"] is True
