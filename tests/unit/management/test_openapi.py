"""The OpenAPI document describes the server that runs: calls made from it, good and bad, are answered as it says.

SEALIFT_EXAMPLES says how many calls are tried of each kind.
"""

import json
import os
import subprocess
import sys
from typing import Any

import hypothesis
import pytest
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from management.server import apis
from management.server.apis.identity import LogOut
from management.server.messages import discover
from tests.unit.management.patience import PATIENCE

EXAMPLES = int(os.environ.get("SEALIFT_EXAMPLES", "60"))
CHECKS = [status_code_conformance, content_type_conformance, response_schema_conformance]
MESSAGES = discover(apis).messages
# Not LogOut: it would end the session, and all that follows would only be turned away.
SYNC = {name for name, kind in MESSAGES.items() if kind.sync} - {LogOut.wire_name}


@pytest.fixture(scope="module")
def document(server: Any) -> Any:
    return schemathesis.openapi.from_url(f"{server.url}/zstack/api/openapi.json")


def with_session(case: Case[Any], session: dict[str, str]) -> Case[Any]:
    """Log a query in: what has effects stays without a valid session and must be turned away."""
    if isinstance(case.body, dict) and len(case.body) == 1:
        ((name, fields),) = case.body.items()
        if name in SYNC and isinstance(fields, dict):
            fields["session"] = {**session}
    return case


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_calls_of_all_kinds(document: Any, server: Any, session: dict[str, str], mode: GenerationMode) -> None:
    operation = document["/zstack/api"]["POST"]

    @hypothesis.settings(max_examples=EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
    def calls(case: Case[Any]) -> None:
        with_session(case, session).call_and_validate(checks=CHECKS, timeout=PATIENCE)

    calls()
    assert "unexpected error" not in (server.home / "log").read_text()
    assert server.get("/healthz").json()["status"] == "ok"


@pytest.mark.parametrize("path", ["/zstack/api/result/{uuid}", "/healthz"])
def test_what_is_asked_for(document: Any, path: str) -> None:
    @hypothesis.settings(max_examples=EXAMPLES // 3, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(case=document[path]["GET"].as_strategy())
    def asks(case: Case[Any]) -> None:
        case.call_and_validate(checks=CHECKS, timeout=PATIENCE)

    asks()


def test_the_command_prints_what_the_server_serves(server: Any) -> None:
    argv = [sys.executable, "-P", "-m", "management.server", "openapi"]
    done = subprocess.run(argv, capture_output=True, text=True, env=server.environment(), check=True, cwd="/")
    assert json.loads(done.stdout) == server.get("/zstack/api/openapi.json").json()


def test_every_message_is_in_it(server: Any) -> None:
    schemas = server.get("/zstack/api/openapi.json").json()["components"]["schemas"]
    described = {schema["required"][0]: schema["x-answer"] for schema in schemas.values() if "x-answer" in schema}
    assert described == {name: kind.answer_name() for name, kind in MESSAGES.items()}
