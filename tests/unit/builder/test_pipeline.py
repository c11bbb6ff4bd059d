"""Whole builds with the real pip and a stand-in for the frozen runtime."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from builder import pipeline
from payload.archive import VerifiedBundle, open_bundle
from payload.effects import run
from payload.errors import InputError, ResolveError
from payload.events import NullSink
from payload.signing import PrivateKey
from payload.trust import Keyring
from tests.unit.builder.product import Site, qcow2, sha256, write_wheel

KEY = PrivateKey.generate("test")
NO_RPM_KEY = Path("/nonexistent.gpg")
"""The product of these tests has no packages."""


def build(site: Site, out: Path) -> VerifiedBundle:
    pipeline.build(site.manifest, out=out, signers=[KEY], rpm_key=NO_RPM_KEY, store=site.store, sink=NullSink())
    return open_bundle(out).verify(Keyring(keys=(KEY.public,)))


def test_the_release_tree(locked: Site, tmp_path: Path) -> None:
    bundle = build(locked, tmp_path / "out/demo.bin")
    assert {entry.path: entry.component for entry in bundle.index.entries} == {
        "agents/console/base_lib-1.2-py3-none-any.whl": "agents/console",
        "agents/console/other_lib-2.0-py3-none-any.whl": "agents/console",
        "agents/console/pip-25.3-py3-none-any.whl": "agents/console",
        "agents/console/requirements.txt": "agents/console",
        "images/images.json": "images",
        "images/trial.qcow2": "images/trial",
        "lock.json": "lock",
        "provenance.intoto.json": "provenance",
        "sbom.cdx.json": "sbom",
        "templates/config/demo.toml.j2": "templates",
        "templates/units/demo.service.j2": "templates",
        "tools/pip-25.3-py3-none-any.whl": "tools",
        "wheels/server/base_lib-1.2-py3-none-any.whl": "server",
        "wheels/server/demo_app-1.1.0-py3-none-any.whl": "server",
        "wheels/server/other_lib-2.0-py3-none-any.whl": "server",
        "wheels/server/requirements.txt": "server",
    }
    assert os.access(bundle.path, os.X_OK)
    assert [path.name for path in bundle.path.parent.iterdir()] == ["demo.bin"]


def test_texts_in_the_release(locked: Site, tmp_path: Path) -> None:
    bundle = build(locked, tmp_path / "demo.bin")
    pins = bundle.read("wheels/server/requirements.txt").decode().splitlines()
    assert [line.split(" --hash=sha256:")[0] for line in pins] == ["base-lib==1.2", "demo-app==1.1.0", "other-lib==2.0"]
    assert all(len(line.split(" --hash=sha256:")[1]) == 64 for line in pins)
    trial, far = json.loads(bundle.read("images/images.json"))
    assert trial == {
        "name": "trial",
        "file": "images/trial.qcow2",
        "url": None,
        "digest": sha256(locked.folder / "trial.qcow2"),
        "size": (locked.folder / "trial.qcow2").stat().st_size,
        "virtual-size": 4096,
        "embedded": True,
    }
    assert (far["file"], far["embedded"], far["virtual-size"]) == (None, False, 2000)
    assert bundle.read("lock.json") == (locked.folder / "bundle.lock").read_bytes()


def test_a_build_can_be_repeated_to_the_byte(locked: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    first, second = (build(locked, tmp_path / name / "demo.bin") for name in ("one", "two"))
    assert first.path.read_bytes() == second.path.read_bytes()
    assert first.index.created == 1700000000


def test_a_warm_store_needs_no_index_and_no_child(
    locked: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(locked, tmp_path / "cold.bin")
    monkeypatch.setenv("PIP_FIND_LINKS", "/nonexistent")
    monkeypatch.setattr("sys.executable", "/nonexistent/python")
    build(locked, tmp_path / "warm.bin")


def test_the_script_in_front_runs_the_runtime(locked: Site, tmp_path: Path) -> None:
    path = build(locked, tmp_path / "demo.bin").path
    answer = run(["sh", path, "a b", '"c"'])
    assert answer.output == f'runtime of {path} called with 2: a b "c"\n'


def test_a_wheel_that_the_index_lost(locked: Site, wheels: Path, tmp_path: Path) -> None:
    next(wheels.glob("base_lib-1.2*")).unlink()
    write_wheel(wheels, "base-lib", "1.2", "something-else")
    with pytest.raises(ResolveError) as caught:
        build(locked, tmp_path / "demo.bin")
    assert caught.value.code == "wheels-unresolved"
    assert not (tmp_path / "demo.bin").exists()


def test_a_lost_wheel_of_a_project_is_built_again(locked: Site, tmp_path: Path) -> None:
    lock = json.loads((locked.folder / "bundle.lock").read_text())
    (own,) = (wheel for wheel in lock["wheels"] if wheel["source"] == "path")
    locked.store.path(own["digest"]).unlink()
    build(locked, tmp_path / "demo.bin")


@pytest.mark.parametrize("changed", ["app/demo_app.py", "trial.qcow2", "bundle.toml"])
def test_what_changed_after_the_lock_is_not_built(locked: Site, tmp_path: Path, changed: str) -> None:
    path = locked.folder / changed
    path.write_bytes(qcow2(1) if changed.endswith("qcow2") else path.read_bytes() + b"\n")
    with pytest.raises(InputError) as caught:
        build(locked, tmp_path / "demo.bin")
    assert caught.value.code == "lock-stale"
    assert f"sealift lock {locked.manifest}" in caught.value.remedy
    assert not (tmp_path / "demo.bin").exists()


def test_an_error_leaves_the_older_lock_and_bundle(locked: Site, tmp_path: Path) -> None:
    build(locked, tmp_path / "demo.bin")
    before = {path: path.read_bytes() for path in (tmp_path / "demo.bin", locked.folder / "bundle.lock")}
    locked.rewrite('"base-lib>=1"', '"base-lib>=9"')
    with pytest.raises(ResolveError):
        pipeline.lock(locked.manifest, store=locked.store, sink=NullSink())
    with pytest.raises(InputError):
        build(locked, tmp_path / "demo.bin")
    assert {path: path.read_bytes() for path in before} == before


def test_the_time_of_a_release(locked: Site, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    os.utime(locked.manifest, (1, 123456))
    assert build(locked, tmp_path / "demo.bin").index.created == 123456
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "yesterday")
    with pytest.raises(InputError, match="yesterday"):
        build(locked, tmp_path / "demo.bin")
