"""The typed client's calls and rows, written from this server's own message classes and inventories.

`python -m management.server.clientcode` prints `management/client/messages.py`; a test keeps the two the same.
"""

import types
from collections.abc import Iterator
from datetime import datetime
from typing import Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from management.server import apis
from management.server.conditions import Condition
from management.server.messages import ApiMessage, Registry, discover
from management.server.query import INVENTORIES, Inventory, QueryMessage

HEAD = '''"""Every call of this release, and what it answers. Written by `make client` from the server's classes."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypedDict

from management.client.calls import Call, Condition, Many, One
'''
COMMON = ("session", "timeout")
PLAIN = {str: "str", int: "int", float: "float", bool: "bool", Condition: "Condition", Any: "Any"}


def client_code(registry: Registry) -> str:
    """The module's text."""
    rows = (_row(INVENTORIES[name]) for name in sorted(INVENTORIES))
    calls = (_call(kind) for kind in sorted(registry.messages.values(), key=lambda kind: kind.verb()))
    return "\n\n".join([HEAD, *rows, *calls])


def _row(inventory: Inventory) -> str:
    shown = [
        f'{link.name}: "list[{link.target}]"' for link in inventory.links if link.shown and link.target in INVENTORIES
    ]
    columns = [f"{name}: {_column(inventory.kind(name))}" for name in inventory.fields]
    lists = [f"{values.name}: list[str]" for values in inventory.lists]
    return _class(f"{inventory.name}(TypedDict, total=False)", "", [*columns, *lists, *shown])


def _column(kind: type) -> str:
    return "str" if kind is datetime else PLAIN[kind]


def _call(kind: type[ApiMessage]) -> str:
    fields = {field.alias or name: field for name, field in kind.model_fields.items() if name not in COMMON}
    lines = [f'wire_name: ClassVar[str] = "{kind.wire_name}"', *(_parameter(*pair) for pair in fields.items())]
    doc = (kind.__doc__ or "").strip().partition("\n")[0]
    return "@dataclass(frozen=True, kw_only=True)\n" + _class(f"{kind.verb()}(Call[{_answer(kind)}])", doc, lines)


def _answer(kind: type[ApiMessage]) -> str:
    inventory = getattr(kind, "inventory", None)
    if inventory is None:
        return "dict[str, Any]"
    return f"{'Many' if issubclass(kind, QueryMessage) else 'One'}[{inventory.name}]"


def _parameter(name: str, field: FieldInfo) -> str:
    annotation = _type(field.annotation)
    if field.is_required():
        return f"{name}: {annotation}"
    return f"{name}: {annotation.removesuffix(' | None')} | None = None"


def _type(annotation: Any) -> str:
    """As it is written; what is text on the wire (addresses, secrets) is `str`."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return " | ".join("None" if part is type(None) else _type(part) for part in inner)
    if origin is Literal:
        return f"Literal[{', '.join(repr(value) for value in inner)}]".replace("'", '"')
    if origin in (list, dict):
        return f"{origin.__name__}[{', '.join(_type(part) for part in inner)}]"
    return PLAIN.get(annotation, "str")


def _class(head: str, doc: str, lines: list[str]) -> str:
    def body() -> Iterator[str]:
        if doc:
            yield f'    """{doc}"""\n'
        yield from (f"    {line}" for line in lines)

    return f"class {head}:\n" + "\n".join(body()) + "\n"


if __name__ == "__main__":
    print(client_code(discover(apis)), end="")
