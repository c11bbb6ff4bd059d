"""The manifest's own rules."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from payload.manifest import Image, Manifest
from tests.unit.payload.bundles import manifest


def test_a_manifest_survives_the_round_trip() -> None:
    one = manifest(mirrors={"163": {"base": "http://mirrors.163.com/x"}}, answers=[{"name": "port", "prompt": "Port"}])
    assert Manifest.model_validate_json(one.model_dump_json(by_alias=True)) == one


def test_all_mistakes_come_at_once() -> None:
    with pytest.raises(ValidationError) as caught:
        Manifest.model_validate(
            {
                "product": {"name": "Not A Name", "version": "x.y", "title": "two\nlines", "colour": 1},
                "targets": [],
                "server": {"requirements": ["app", "not a requirement!"]},
            }
        )
    found = {".".join(map(str, error["loc"])) for error in caught.value.errors()}
    assert found == {
        "product.name",
        "product.version",
        "product.title",
        "product.colour",
        "targets",
        "server.requirements.1",
    }


@pytest.mark.parametrize("path", ["/etc/x", "../x", "a/../b", "a//b", "./a", ".", "a/", "a\\b", "", "a\0"])
def test_paths_cannot_escape(path: str) -> None:
    with pytest.raises(ValidationError):
        manifest(ssh_keys=[{"path": path}])


@pytest.mark.parametrize("package", ["nginx", "demo-agent >= 1.0", "/usr/bin/env", "libfoo.so.1()(64bit)", "a = 1:2-3"])
def test_rpm_requirements(package: str) -> None:
    assert manifest(repository={"packages": [package]}).repository.packages == (package,)


@pytest.mark.parametrize("package", ["", "-y", "a b", "a >= ", "a;b", "a\nb"])
def test_bad_rpm_requirements(package: str) -> None:
    with pytest.raises(ValidationError):
        manifest(repository={"packages": [package]})


def test_an_image_has_one_origin_and_a_remote_one_is_pinned() -> None:
    for bad in ({}, {"url": "http://x/y", "path": "z"}, {"url": "http://x/y"}):
        with pytest.raises(ValidationError):
            Image.model_validate({"name": "trial"} | bad)


def test_a_secret_has_no_default() -> None:
    with pytest.raises(ValidationError, match="no default"):
        manifest(answers=[{"name": "pw", "prompt": "Password", "secret": True, "default": "admin"}])
