"""The builder's edge for site plans: what a host wrote passes, everything else is an error of the project."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from builder.siteplan import packages_on_host, read_site_plan
from payload.errors import InputError, SealiftError, UsageError
from payload.manifest import Manifest
from payload.siteplan import MAX_SIZE, SitePlan
from payload.store import Store
from repos.header import read_header_digest, read_rpm
from tests.unit.payload import bundles
from tests.unit.payload.mutations import EXAMPLES, HOSTILE
from tests.unit.repos.packages import Spec, build_rpm

_DIGEST = "sha256:" + "a" * 64
PRODUCT = {"name": "app", "version": "1.1.0", "title": "App", "upgrades_from": ">=1.0,<2"}
PLAN: dict[str, Any] = {
    "format": 1,
    "product": "app",
    "version": "1.0.0",
    "release": _DIGEST,
    "releases": ["1.0.0"],
    "running": True,
    "answers": {"port": 8080, "name": "here", "tls": False},
    "files": [{"path": "images/small.qcow2", "digest": _DIGEST}, {"path": "tools/x", "digest": _DIGEST}],
    "packages": [{"nevra": "tool-0:1.0-1.noarch", "header": "b" * 64}, {"nevra": "old-1:2-3.x86_64", "header": None}],
}


def manifest(**product: str) -> Manifest:
    return bundles.manifest(product=PRODUCT | product)


def read(folder: Path, document: object) -> SitePlan:
    (path := folder / "site.json").write_text(json.dumps(document))
    return read_site_plan(path, manifest())


def test_what_a_host_wrote_is_read(tmp_path: Path) -> None:
    plan = read(tmp_path, PLAN)
    assert plan.installed == {("tool-0:1.0-1.noarch", "b" * 64)}
    assert json.loads(plan.model_dump_json(by_alias=True)) == PLAN


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 2}, "format"),
        ({"more": 1}, "more"),
        ({"running": "yes"}, "running"),
        ({"release": "sha256:" + "A" * 64}, "release"),
        ({"files": PLAN["files"] * 2}, "listed twice"),
        ({"files": [{"path": "../x", "digest": _DIGEST}]}, "plain relative path"),
        ({"packages": PLAN["packages"] * 2}, "listed twice"),
        ({"packages": [{"nevra": "tool", "header": None}]}, "packages.0.nevra"),
        ({"answers": {"a": "x" * 70_000}}, "answers.a"),
        ({"releases": ["1.0"] * 1001}, "releases"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, PLAN | change)
    assert caught.value.code == "plan-invalid"
    assert said in caught.value.details


@pytest.mark.parametrize("change", [{"product": "other"}, {"version": "2.0"}])
def test_a_plan_of_something_else_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        read(tmp_path, PLAN | change)
    assert caught.value.code == "plan-unfit"


def test_files_that_are_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read"):
        read_site_plan(tmp_path / "not-there", manifest())
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(MAX_SIZE + 1)
    with pytest.raises(InputError, match="not what a host writes"):
        read_site_plan(large, manifest())


def _places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, each in items for place in _places(each, (*path, key)))]


@settings(max_examples=EXAMPLES * 2, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from(_places(PLAN)[1:]), st.sampled_from(HOSTILE)), min_size=1, max_size=3))
def test_a_hostile_plan_is_refused_or_is_a_plan(
    tmp_path: Path, changes: list[tuple[tuple[str | int, ...], object]]
) -> None:
    document: Any = copy.deepcopy(PLAN)
    for path, value in changes:
        inner = document
        try:
            for key in path[:-1]:
                inner = inner[key]
            inner[path[-1]] = value
        except (TypeError, IndexError, KeyError):
            continue  # an earlier change took that place away
    try:
        plan = read(tmp_path, document)
    except SealiftError as error:
        assert error.code in {"plan-invalid", "plan-unfit"}
        return
    assert plan.product == "app"
    assert all(not file.path.startswith("/") and ".." not in Path(file.path).parts for file in plan.files)


@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=200))
def test_bytes_that_are_no_plan(tmp_path: Path, noise: bytes) -> None:
    (path := tmp_path / "site.json").write_bytes(noise)
    with pytest.raises(InputError):
        read_site_plan(path, manifest())


def test_only_the_very_same_package_is_on_the_host(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    made = build_rpm(Spec("tool", "1.0"), tmp_path)
    rpm = bundles.locked_rpm("tool", version="1.0", digest=store.add_file(made), size=made.stat().st_size)
    assert str(read_rpm(made).nevra) == rpm.nevra
    header = read_header_digest(made)
    for said, expected in ((header, {rpm.digest: header}), ("b" * 64, {}), (None, {})):
        plan = read(tmp_path, PLAN | {"packages": [{"nevra": rpm.nevra, "header": said}]})
        assert packages_on_host(plan, (rpm,), store) == expected
