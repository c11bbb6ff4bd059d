"""The API as an OpenAPI 3.1 document, made of the message classes that also check every call."""

from typing import Any

from pydantic.json_schema import models_json_schema

from management.server.errors import DESCRIPTIONS, MAX_DETAILS
from management.server.messages import ApiMessage, Registry

_REF = "#/components/schemas/"


def describe_api(registry: Registry, version: str) -> dict[str, Any]:
    """The document: one operation that takes every message in its envelope, and one that asks for its result."""
    kinds = sorted(registry.messages.values(), key=lambda kind: kind.wire_name)
    _, messages = models_json_schema([(kind, "validation") for kind in kinds], ref_template=_REF + "{model}")
    schemas = messages["$defs"] | {f"{kind.__name__}Call": _envelope(kind) for kind in kinds} | _shared()
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sealift management server", "version": version},
        "paths": {
            "/zstack/api": {"post": _call(kinds)},
            "/zstack/api/result/{uuid}": {"get": _result()},
            "/healthz": {"get": _health("health", "Whether this node lives and can use its database.")},
            "/readyz": {"get": _health("readiness", "Whether this node takes calls: not while it starts or stops.")},
            "/metrics": {"get": _metrics()},
        },
        "components": {"schemas": schemas},
    }


def _envelope(kind: type[ApiMessage]) -> dict[str, Any]:
    """One key, the message's name, around its fields; `x-answer` is the key of what `result` holds in the end."""
    return {
        "type": "object",
        "description": (kind.__doc__ or "").strip().partition("\n")[0],
        "required": [kind.wire_name],
        "properties": {kind.wire_name: {"$ref": _REF + kind.__name__}},
        "additionalProperties": False,
        "x-answer": kind.answer_name(),
    }


def _call(kinds: list[type[ApiMessage]]) -> dict[str, Any]:
    calls = [{"$ref": f"{_REF}{kind.__name__}Call"} for kind in kinds]
    return {
        "operationId": "call",
        "summary": "Make a call. A query is answered at once; of all else the result is asked for by its uuid.",
        "requestBody": {"required": True, "content": {"application/json": {"schema": {"oneOf": calls}}}},
        "responses": {
            "200": _json("The answer, or that the call was accepted. A call that fails is answered so, too.", "State"),
            "413": _text("The body is too large."),
            "500": _text("The body is no call: not JSON, not one key, or not a message of this server."),
        },
    }


def _result() -> dict[str, Any]:
    uuid = {"name": "uuid", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {
        "operationId": "result",
        "summary": "How far a call is.",
        "parameters": [uuid],
        "responses": {
            "200": _json("Its state, with the answer when it is Done.", "State"),
            "404": _text("No such call."),
        },
    }


def _health(operation: str, summary: str) -> dict[str, Any]:
    answers = {"200": _json("It does.", "Health"), "503": _json("It does not; `reason` says why.", "Health")}
    return {"operationId": operation, "summary": summary, "responses": answers}


def _metrics() -> dict[str, Any]:
    answers = {"200": _text("Counts in Prometheus' text format.")}
    return {"operationId": "metrics", "summary": "What this node counts.", "responses": answers}


def _json(description: str, schema: str) -> dict[str, Any]:
    return {"description": description, "content": {"application/json": {"schema": {"$ref": _REF + schema}}}}


def _text(description: str) -> dict[str, Any]:
    return {"description": description, "content": {"text/plain": {"schema": {"type": "string"}}}}


def _shared() -> dict[str, Any]:
    text = {"type": "string"}
    return {
        "State": {
            "type": "object",
            "required": ["state", "createdDate"],
            "properties": {
                "uuid": {**text, "description": "What the result is asked for by; not there for a query."},
                "state": {"enum": ["Processing", "Done"]},
                "createdDate": text,
                "timeout": {"type": "integer", "minimum": 1, "description": "How many milliseconds it may take."},
                "finishedDate": text,
                "result": {
                    **text,
                    "contentMediaType": "application/json",
                    "description": "JSON in a string: one key, the name of the answer, around `success` and, "
                    "when that is false, `error`.",
                },
            },
            "additionalProperties": False,
        },
        "Error": {
            "type": "object",
            "required": ["code", "description", "details"],
            "properties": {
                "code": {"enum": sorted(DESCRIPTIONS)},
                "description": text,
                "details": {**text, "maxLength": MAX_DETAILS},
                "cause": {"$ref": _REF + "Error"},
            },
            "additionalProperties": False,
        },
        "Health": {
            "type": "object",
            "required": ["status", "version"],
            "properties": {"status": {"enum": ["ok", "failing"]}, "version": text, "reason": text},
            "additionalProperties": False,
        },
    }
