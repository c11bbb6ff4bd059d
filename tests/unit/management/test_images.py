"""Registering images: embedded ones are checked, others are references; again changes nothing."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from management.server.database import Database
from management.server.images import ImageError, parse_specs, register


def spec(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "digest": "sha256:" + "0" * 64, "size": 4, "virtual-size": 100, **more}


def rows(database: Database) -> list[tuple[Any, ...]]:
    statement = text('select name, status, url, "virtualSize" from "ImageEO" order by name')
    with database.read() as session:
        return [tuple(row) for row in session.execute(statement)]


def test_embedded_and_referenced(make_install: Any, tmp_path: Path) -> None:
    install = make_install().prepare()
    file = tmp_path / "a.qcow2"
    file.write_bytes(b"QFI\xfb")
    listed = tmp_path / "images.json"
    listed.write_text(
        json.dumps([spec("trial", path=str(file)), spec("router", url="http://example.test/router.qcow2")])
    )
    assert install.run("register-images", str(listed)).stdout == "2 images, 2 changed\n"
    assert install.run("register-images", "-", stdin=listed.read_text()).stdout == "2 images, 0 changed\n"
    assert install.sql("select name, status, url, virtualSize from ImageEO order by name") == [
        ("router", "NotEmbedded", "http://example.test/router.qcow2", 100),
        ("trial", "Ready", file.as_uri(), 100),
    ]


def test_an_image_that_comes_with_a_later_release(database: Database, tmp_path: Path) -> None:
    file = tmp_path / "r.qcow2"
    file.write_bytes(b"QFI\xfb")
    assert register(database, parse_specs(json.dumps([spec("router", url="http://x.test/r")]))) == 1
    assert register(database, parse_specs(json.dumps([spec("router", path=str(file))]))) == 1
    assert rows(database) == [("router", "Ready", file.as_uri(), 100)]


@pytest.mark.parametrize(
    ("specs", "said"),
    [
        ([spec("ok", url="u"), spec("gone", path="/nonexistent/x")], "No such file"),
        ([spec("ok", url="u"), spec("short", path="/dev/null")], "has 0 bytes"),
        ([spec("ok", url="u"), spec("nowhere")], "neither a path nor a url"),
        ([{"name": "x", "colour": 1}], "colour"),
        ({"images": []}, "valid array"),
    ],
)
def test_mistakes_change_nothing(database: Database, specs: Any, said: str) -> None:
    with pytest.raises(ImageError, match=said):
        register(database, parse_specs(json.dumps(specs)))
    assert rows(database) == []
