"""Locking with the real pip, against a folder of wheels made on the spot."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from builder.lockfile import lock_text
from builder.manifest import load_manifest
from builder.resolve import resolve
from builder.sources.project import BuiltWheel, build_wheel, sources_digest
from builder.sources.wheel import parse_report
from builder.targets import WheelTarget
from payload.errors import ResolveError
from payload.events import NullSink
from payload.lock import Lock
from tests.unit.builder.product import Site, sha256, write_wheel

TARGET = WheelTarget("3.11", "2.28", None)


def locked(site: Site) -> Lock:
    return resolve(load_manifest(site.manifest), site.store, NullSink()).lock


def test_wheels_are_those_that_fit_the_target(site: Site, wheels: Path) -> None:
    lock = locked(site)
    found = [(wheel.environment, wheel.name, str(wheel.version), wheel.source) for wheel in lock.wheels]
    assert found == [
        ("server", "base-lib", "1.2", "index"),
        ("server", "demo-app", "1.1.0", "path"),
        ("server", "other-lib", "2.0", "index"),  # 3.0 needs a newer glibc than the targets have
        ("agents/console", "base-lib", "1.2", "index"),
        ("agents/console", "other-lib", "2.0", "index"),
    ]
    base = next(wheel for wheel in lock.wheels if wheel.name == "base-lib")
    assert base.digest == sha256(wheels / base.filename)
    assert (lock.pip.name, str(lock.pip.version), lock.pip.environment) == ("pip", "25.3", "tools")
    assert [image.virtual_size for image in lock.images] == [4096, 2000]


def test_the_same_inputs_give_the_same_lock_without_a_word_of_where_things_came_from(site: Site, wheels: Path) -> None:
    first = lock_text(locked(site))
    site.store.root.rename(site.store.root.with_name("old"))
    assert lock_text(locked(site)) == first
    assert str(wheels) not in first
    assert "file:" not in first
    assert str(site.folder) not in first


def test_a_requirement_that_nobody_has(site: Site, wheels: Path) -> None:
    site.rewrite('"base-lib>=1"', '"base-lib>=9"')
    with pytest.raises(ResolveError) as caught:
        locked(site)
    assert caught.value.code == "wheels-unresolved"
    assert "server" in caught.value.brief
    assert "base-lib>=9" in caught.value.details


def test_a_wheel_only_for_newer_systems_is_no_answer(site: Site, wheels: Path) -> None:
    site.rewrite('"base-lib>=1"', '"other-lib>=3"')
    with pytest.raises(ResolveError, match="pip could not resolve"):
        locked(site)


def test_a_project_that_does_not_build(site: Site, wheels: Path) -> None:
    (site.folder / "app/backend.py").write_text("def build_wheel(*a, **k): raise RuntimeError('no')\n")
    with pytest.raises(ResolveError, match=r"build the wheel of .*app"):
        locked(site)


def test_another_python_than_this_machine_has(site: Site, wheels: Path) -> None:
    site.rewrite(">=3.11", ">=3.39")
    with pytest.raises(ResolveError) as caught:
        locked(site)
    assert caught.value.code == "python-missing"


def test_a_project_is_built_once_and_from_a_copy(site: Site, wheels: Path) -> None:
    app = site.folder / "app"
    before = sorted(path.name for path in app.iterdir())
    first = build_wheel(app, target=TARGET, store=site.store)
    assert sorted(path.name for path in app.iterdir()) == before
    (app / "build").mkdir()
    (app / "build/left").write_text("of another tool")
    (app / "__pycache__").mkdir()
    assert build_wheel(app, target=TARGET, store=site.store) == first
    (app / "demo_app.py").write_text("print('changed')\n")
    second = build_wheel(app, target=TARGET, store=site.store)
    assert second.sources != first.sources
    assert second.digest != first.digest


def test_the_sources_of_a_project_are_names_contents_and_executable_bits(site: Site) -> None:
    app = site.folder / "app"
    digests = [sources_digest(app)]
    (app / "demo_app.py").chmod(0o755)
    digests.append(sources_digest(app))
    (app / "demo_app.py").rename(app / "other.py")
    digests.append(sources_digest(app))
    (app / "inner").mkdir()
    (app / "inner/pyproject.toml").write_text("")
    (app / "bundle.lock").write_text("")
    assert sources_digest(app) == digests[-1]
    assert len(set(digests)) == 3


def report(url: str, **archive: object) -> str:
    item = {"download_info": {"url": url, "archive_info": archive}, "metadata": {"name": "A.b_c", "version": "1"}}
    return json.dumps({"version": "1", "pip_version": "x", "install": [item], "environment": {}})


def test_reading_a_report() -> None:
    text = report("https://index.invalid/p/a_b_c-1-py3-none-any.whl#sha256=1", hashes={"sha256": "ab" * 32})
    (wheel,) = parse_report(text, "server", {})
    assert (wheel.name, wheel.filename) == ("a-b-c", "a_b_c-1-py3-none-any.whl")
    assert wheel.digest == f"sha256:{'ab' * 32}"
    assert (wheel.source, wheel.sources) == ("index", None)


def test_a_report_with_an_escaped_name_of_a_local_wheel() -> None:
    name = "a_b_c-1+local-py3-none-any.whl"
    built = BuiltWheel("a-b-c", "1+local", name, f"sha256:{'cd' * 32}", f"sha256:{'ef' * 32}")
    (wheel,) = parse_report(report("file:///x/a_b_c-1%2Blocal-py3-none-any.whl"), "server", {name: built})
    assert (wheel.source, wheel.digest, wheel.sources) == ("path", built.digest, built.sources)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (report("https://index.invalid/a-1.tar.gz", hashes={"sha256": "ab" * 32}), "wheel-missing"),
        (report("https://index.invalid/a_b_c-1-py3-none-any.whl", hashes={"md5": "ab"}), "digest-missing"),
        (report("https://index.invalid/a_b_c-1-py3-none-any.whl"), "digest-missing"),
    ],
)
def test_reports_that_cannot_be_locked(text: str, code: str) -> None:
    with pytest.raises(ResolveError) as caught:
        parse_report(text, "server", {})
    assert caught.value.code == code


def test_a_wheel_of_the_index_may_need_the_local_project(site: Site, wheels: Path) -> None:
    write_wheel(wheels, "base-lib", "2.0", "demo-app")
    assert {str(wheel.version) for wheel in locked(site).wheels if wheel.environment == "server"} >= {"2.0", "1.1.0"}
