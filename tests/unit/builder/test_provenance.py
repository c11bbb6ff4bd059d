"""The provenance, held against what in-toto's Statement v1 and SLSA's provenance v1 require."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from typer.testing import CliRunner

from builder.cli import app
from payload.archive import VerifiedBundle
from payload.digest import digest_bytes, hex_of
from payload.events import NullSink
from payload.model import PROVENANCE_PATH, SBOM_PATH
from tests.unit.builder.test_pipeline import build

_URI = {"type": "string", "pattern": r"^[a-z][a-z0-9+.-]*:\S+$"}
_DIGEST = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_DIGESTS = {"type": "object", "minProperties": 1, "additionalProperties": _DIGEST}
_RESOURCE = {
    "type": "object",
    "properties": {"name": {"type": "string", "minLength": 1}, "uri": _URI, "digest": _DIGESTS},
    "required": ["digest"],
    "additionalProperties": False,
}
_RESOURCES = {"type": "array", "items": _RESOURCE, "uniqueItems": True}
STATEMENT = {
    "type": "object",
    "required": ["_type", "subject", "predicateType", "predicate"],
    "additionalProperties": False,
    "properties": {
        "_type": {"const": "https://in-toto.io/Statement/v1"},
        "predicateType": {"const": "https://slsa.dev/provenance/v1"},
        "subject": _RESOURCES | {"minItems": 1},
        "predicate": {
            "type": "object",
            "required": ["buildDefinition", "runDetails"],
            "additionalProperties": False,
            "properties": {
                "buildDefinition": {
                    "type": "object",
                    "required": ["buildType", "externalParameters"],
                    "additionalProperties": False,
                    "properties": {
                        "buildType": _URI,
                        "externalParameters": {"type": "object", "minProperties": 1},
                        "internalParameters": {"type": "object"},
                        "resolvedDependencies": _RESOURCES,
                    },
                },
                "runDetails": {
                    "type": "object",
                    "required": ["builder"],
                    "additionalProperties": False,
                    "properties": {
                        "builder": {
                            "type": "object",
                            "required": ["id"],
                            "properties": {
                                "id": _URI,
                                "version": {"type": "object", "additionalProperties": {"type": "string"}},
                            },
                        },
                        "byproducts": _RESOURCES,
                    },
                },
            },
        },
    },
}


@pytest.fixture
def bundle(locked: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> VerifiedBundle:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    return build(locked, tmp_path / "demo.bin")


def test_it_is_a_statement_about_this_release(bundle: VerifiedBundle, tmp_path: Path) -> None:
    statement = json.loads(bundle.read(PROVENANCE_PATH))
    jsonschema_rs.validator_for(STATEMENT).validate(statement)
    release, runtime = statement["subject"]
    assert runtime == {"name": "runtime", "digest": {"sha256": hex_of(bundle.index.runtime.digest)}}
    bundle.extract(tmp_path / "out", sink=NullSink(), stage="out", select=lambda each: each.path != PROVENANCE_PATH)
    pipeline = "find . -type f | cut -c3- | LC_ALL=C sort | xargs -r sha256sum | sha256sum | cut -f1 -d' '"
    summed = subprocess.run(pipeline, shell=True, cwd=tmp_path / "out", capture_output=True, text=True, check=True)
    assert release == {"name": "demo-1.1.0", "digest": {"dirHash": summed.stdout.strip()}}


def test_parameters_and_materials_are_those_of_the_lock(bundle: VerifiedBundle) -> None:
    predicate = json.loads(bundle.read(PROVENANCE_PATH))["predicate"]
    definition, lock = predicate["buildDefinition"], bundle.index.lock
    assert definition["externalParameters"] == {
        "product": "demo",
        "version": "1.1.0",
        "manifest": {"digest": {"sha256": hex_of(lock.manifest)}},
        "lock": {"digest": {"sha256": hex_of(digest_bytes(bundle.read("lock.json")))}},
        "sourceDateEpoch": "2023-11-14T22:13:20Z",
    }
    named = {each["digest"].get("sha256") for each in definition["resolvedDependencies"]}
    assert {hex_of(wheel.digest) for wheel in (*lock.wheels, lock.pip)} <= named
    assert {hex_of(image.digest) for image in lock.images} <= named
    sources = {each["digest"].get("sealiftTree") for each in definition["resolvedDependencies"]}
    assert {hex_of(wheel.sources) for wheel in lock.wheels if wheel.sources} == sources - {None}
    (sbom,) = predicate["runDetails"]["byproducts"]
    assert sbom["digest"]["sha256"] == hex_of(digest_bytes(bundle.read(SBOM_PATH)))


def test_a_command_prints_it(bundle: VerifiedBundle) -> None:
    done = CliRunner().invoke(app, ["provenance", str(bundle.path)])
    assert (done.exit_code, json.loads(done.stdout)) == (0, json.loads(bundle.read(PROVENANCE_PATH)))
