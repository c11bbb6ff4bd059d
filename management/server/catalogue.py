"""What this server can be asked, for clients that build calls from words: the shell has no list of its own."""

from typing import Any, get_args

from management.server.messages import ApiMessage, Registry
from management.server.query import INVENTORIES, ON_ALL, Inventory, QueryMessage

COMMON = ("session", "timeout")
KINDS = ((bool, "bool"), (int, "int"), (list, "list"), (dict, "json"))


def describe(registry: Registry) -> dict[str, Any]:
    """Every verb with its message and parameters, and what queries can ask about.

    `inventories` says for each inventory its plain `fields`, its `lists` of values, and its `links`: name to
    inventory. A query names its inventory.
    """
    return {
        "messages": {kind.verb(): _describe(kind) for kind in registry.messages.values()},
        "inventories": {name: _fields(inventory) for name, inventory in INVENTORIES.items()},
    }


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
        "secrets": sorted(kind.secrets()),
        "help": (kind.__doc__ or "").strip().partition("\n")[0],
    }
    if issubclass(kind, QueryMessage):
        described["inventory"] = kind.inventory.name
    return described


def _fields(inventory: Inventory) -> dict[str, Any]:
    return {
        "fields": list(inventory.fields),
        "lists": [*(values.name for values in inventory.lists), *(name for name in ON_ALL if inventory.values(name))],
        "links": {link.name: link.target for link in inventory.links if link.target in INVENTORIES},
    }


def _kind(annotation: Any) -> str:
    # `int | None` and `list[str] | None` are what their first part is.
    candidates = (annotation, *get_args(annotation))
    for candidate in candidates:
        origin = getattr(candidate, "__origin__", candidate)
        for python, name in KINDS:
            if origin is python:
                return name
    return "string"
