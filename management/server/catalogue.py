"""What this server can be asked, for clients that build calls from words: the shell has no list of its own."""

from typing import Any, get_args

from management.server.messages import ApiMessage, Registry
from management.server.query import QueryMessage

COMMON = ("session", "timeout")
KINDS = ((bool, "bool"), (int, "int"), (list, "list"), (dict, "json"))


def describe(registry: Registry) -> dict[str, Any]:
    """Every verb with its message and parameters; queries also with the fields they can ask about."""
    return {kind.verb(): _describe(kind) for kind in registry.messages.values()}


def _describe(kind: type[ApiMessage]) -> dict[str, Any]:
    parameters = {
        field.alias or name: {"kind": _kind(field.annotation), "required": field.is_required()}
        for name, field in kind.model_fields.items()
        if name not in COMMON
    }
    described: dict[str, Any] = {
        "message": kind.wire_name,
        "answer": kind.answer_name(),
        "needsSession": kind.needs_session,
        "parameters": parameters,
        "help": (kind.__doc__ or "").strip().partition("\n")[0],
    }
    if issubclass(kind, QueryMessage):
        described["queryFields"] = list(kind.inventory.fields)
    return described


def _kind(annotation: Any) -> str:
    # `int | None` and `list[str] | None` are what their first part is.
    candidates = (annotation, *get_args(annotation))
    for candidate in candidates:
        origin = getattr(candidate, "__origin__", candidate)
        for python, name in KINDS:
            if origin is python:
                return name
    return "string"
