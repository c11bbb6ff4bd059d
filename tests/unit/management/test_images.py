"""Registering images: embedded ones are checked, others are references; again changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest


def spec(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "digest": "sha256:" + "0" * 64, "size": 4, "virtual_size": 100, **more}


@pytest.fixture
def install(make_install: Any) -> Any:
    made = make_install()
    assert made.run("migrate").returncode == 0
    return made


def test_embedded_and_referenced(install: Any, tmp_path: Path) -> None:
    file = tmp_path / "a.qcow2"
    file.write_bytes(b"QFI\xfb")
    specs = [spec("trial", path=str(file)), spec("router", url="http://example.test/router.qcow2")]
    assert install.run("register-images", "-", stdin=json.dumps(specs)).stdout == "2 images, 2 changed\n"
    assert install.run("register-images", "-", stdin=json.dumps(specs)).stdout == "2 images, 0 changed\n"
    assert install.sql("select name, status, url, virtualSize from ImageEO order by name") == [
        ("router", "NotEmbedded", "http://example.test/router.qcow2", 100),
        ("trial", "Ready", file.as_uri(), 100),
    ]


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ([spec("ok", url="u"), spec("gone", path="/nonexistent/x")], "No such file"),
        ([spec("ok", url="u"), spec("nowhere")], "neither a path nor a url"),
        ([{"name": "x", "colour": 1}], "colour"),
    ],
)
def test_mistakes_change_nothing(install: Any, specs: list[Any], said: str) -> None:
    done = install.run("register-images", "-", stdin=json.dumps(specs))
    assert done.returncode == 1
    assert said in done.stderr
    assert install.sql("select * from ImageEO") == []


def test_a_file_of_another_size(install: Any, tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"x")
    listed = tmp_path / "images.json"
    listed.write_text(json.dumps([spec("short", path=str(tmp_path / "short"))]))
    done = install.run("register-images", str(listed))
    assert (done.returncode, "has 1 bytes" in done.stderr) == (1, True)
