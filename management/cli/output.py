"""How an answer is printed: the JSON of the transcripts, YAML, or a table for people."""

import json
from collections.abc import Callable
from typing import Any

import yaml

Rows = list[dict[str, Any]]


def as_json(answer: dict[str, Any]) -> str:
    """Keys in order, four blanks, and one empty line after it."""
    return json.dumps(answer, sort_keys=True, indent=4) + "\n"


def as_yaml(answer: dict[str, Any]) -> str:
    """The same keys in the same order."""
    text: str = yaml.safe_dump(answer, sort_keys=True)
    return text.rstrip("\n")


def as_table(answer: dict[str, Any]) -> str:
    """One row per thing, for `inventories` and `inventory`; any other answer is a row of its own.

    Cells that are lists or objects are JSON. Nothing found is an empty text.
    """
    rows = _rows(answer)
    names = sorted({name for row in rows for name in row})
    lines = [names, *([_cell(row.get(name)) for name in names] for row in rows)] if rows else []
    widths = [max(len(line[column]) for line in lines) for column in range(len(names))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def _rows(answer: dict[str, Any]) -> Rows:
    if "inventories" in answer:
        found: Rows = answer["inventories"]
        return found
    inventory = answer.get("inventory")
    if isinstance(inventory, dict):
        return [inventory]
    return [{name: value for name, value in answer.items() if name != "success"} or answer]


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    # A name may hold anything: what would break a line or move the cursor is shown as its escape.
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


OUTPUTS: dict[str, Callable[[dict[str, Any]], str]] = {"json": as_json, "table": as_table, "yaml": as_yaml}
