"""From words to a call: `Verb key=value ...`, with query operators. Pure: no I/O, no list of verbs of its own."""

import ast
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from management.cli.catalogue import Verb
from management.cli.errors import CliError

# Longest first: `!?=` must not be read as `!`.
OPERATORS = {
    "!?=": "not in",
    "!~=": "not like",
    "?=": "in",
    "~=": "like",
    "!=": "!=",
    ">=": ">=",
    "<=": "<=",
    "=": "=",
    ">": ">",
    "<": "<",
}
_PAIR = re.compile(rf"(?P<name>[A-Za-z_][\w.-]*)(?P<op>{'|'.join(map(re.escape, OPERATORS))})(?P<value>.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Call:
    """A verb with its parameters, ready to be sent."""

    verb: Verb
    fields: dict[str, Any] = field(default_factory=dict)


def parse(verb: Verb, words: Iterable[str]) -> Call:
    """Read `key=value` words.

    Raises:
        CliError: a word is not a pair, or its value does not fit the parameter.
    """
    fields: dict[str, Any] = {} if verb.inventory is None else {"conditions": []}
    for word in words:
        found = _PAIR.fullmatch(word)
        if found is None:
            raise CliError(f"[{word}] is not a parameter; write name=value")
        name, operator, value = found["name"], found["op"], found["value"]
        if verb.inventory is not None and name not in verb.parameters:
            fields["conditions"].append(_condition(name, operator, value))
        elif operator != "=":
            raise CliError(f"[{word}]: {name} takes a value with = only")
        else:
            kind = verb.parameters.get(name, {}).get("kind", "string")
            fields[name] = _value(name, kind, value)
    return Call(verb, fields)


def _condition(name: str, operator: str, value: str) -> dict[str, str]:
    if value == "null" and operator in ("=", "!="):
        return {"name": name, "op": "is null" if operator == "=" else "is not null", "value": ""}
    op = OPERATORS[operator]
    if op in ("like", "not like") and not set("%_") & set(value):
        value = f"%{value}%"
    return {"name": name, "op": op, "value": value}


def _value(name: str, kind: str, text: str) -> Any:
    if kind == "list":
        # `fields=uuid, name=x` leaves a comma at the end of the first word.
        return [part.strip() for part in text.split(",") if part.strip()]
    if kind == "json":
        return _literal(name, text)
    if kind == "int":
        try:
            return int(text)
        except ValueError as error:
            raise CliError(f"{name} takes a whole number, not [{text}]") from error
    return text.rstrip(",") if kind == "bool" else text


def _literal(name: str, text: str) -> Any:
    """JSON, or a Python literal; never evaluated."""
    try:
        return json.loads(text)
    except ValueError:
        pass
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError) as error:
        raise CliError(f"{name} takes JSON, and this is none: {text}") from error
