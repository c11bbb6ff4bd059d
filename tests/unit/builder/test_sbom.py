"""The bill of materials, held against the schema that CycloneDX publishes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cyclonedx.schema
import jsonschema_rs
import pytest

from builder.sbom import sbom_text
from payload.lock import LockedWheel
from payload.model import SBOM_PATH
from payload.store import Store
from tests.unit.builder.product import write_wheel
from tests.unit.builder.test_pipeline import build
from tests.unit.payload import bundles
from tests.unit.repos.packages import Spec, build_rpm

_SCHEMAS = Path(cyclonedx.schema.__file__).parent / "_res"


def schema(uri: str) -> Any:
    name = uri.rpartition("/")[2].removesuffix(".schema.json").removesuffix(".SNAPSHOT")
    (path,) = _SCHEMAS.glob(f"{name}.SNAPSHOT.schema.json")
    return json.loads(path.read_text())


def check(text: str) -> dict[str, Any]:
    """The document, if it is CycloneDX 1.6."""
    document: dict[str, Any] = json.loads(text)
    jsonschema_rs.validator_for(schema("bom-1.6.schema.json"), retriever=schema).validate(document)
    return document


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "store")


def test_packages_wheels_and_images_with_purl_digest_and_license(tmp_path: Path, store: Store) -> None:
    package = build_rpm(Spec("tool", version="1.2", release="3"), tmp_path)
    wheel = write_wheel(tmp_path, "some-lib", "2.0")
    digest, size = store.add_file(package), package.stat().st_size
    rpm = bundles.locked_rpm("tool", epoch=2, version="1.2", release="3", digest=digest, size=size)
    lock = bundles.lock().model_copy(
        update={
            "rpms": (rpm,),
            "pip": LockedWheel(
                environment="tools",
                name="some-lib",
                version="2.0",
                filename=wheel.name,
                digest=store.add_file(wheel),
                source="index",
            ),
        }
    )
    text = sbom_text(bundles.manifest(), lock, store, runtime="sha256:" + "1" * 64, created=77)
    document = check(text)
    parts = {part["name"]: part for part in document["components"]}
    assert parts["tool"]["purl"] == "pkg:rpm/tool@1.2-3?arch=noarch&epoch=2&repository_id=base"
    assert parts["tool"]["hashes"][0]["content"] == lock.rpms[0].digest[7:]
    assert parts["tool"]["licenses"], "the package's header names one"
    assert parts["some-lib"]["purl"].startswith("pkg:pypi/some-lib@2.0")
    assert document["metadata"]["component"]["name"] == "app"
    assert document["metadata"]["timestamp"] == "1970-01-01T00:01:17+00:00"
    assert text == sbom_text(bundles.manifest(), lock, store, runtime="sha256:" + "1" * 64, created=77)


def test_a_built_bundle_has_it(locked: Any, tmp_path: Path) -> None:
    document = check(build(locked, tmp_path / "demo.bin").read(SBOM_PATH).decode())
    names = {part["name"] for part in document["components"]}
    assert {"base-lib", "demo-app", "other-lib", "pip", "trial", "far", "sealift-runtime"} <= names
    (app,) = [part for part in document["components"] if part["name"] == "demo-app"]
    assert {row["name"] for row in app["properties"]} == {"sealift:environment", "sealift:sources"}
