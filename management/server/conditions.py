"""One condition of a query on one column, as SQL with bound parameters."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import ColumnElement, func

from management.server.clock import from_wire
from management.server.errors import ApiError

LARGEST = 2**63 - 1
"""The largest number that both databases hold."""
MOST_VALUES = 10_000
"""Of one `in`: databases have limits of their own, and say so late."""
BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


class Condition(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    op: str
    value: Any = None


def compare(column: ColumnElement[Any], kind: type, condition: Condition) -> ColumnElement[bool]:
    """The condition on this column, which holds values of this Python type.

    Raises:
        ApiError: there is no such operator, or the value does not fit.
    """
    if condition.op == "is null":
        return column.is_(None)
    if condition.op == "is not null":
        return column.is_not(None)
    build = _OPERATORS.get(condition.op)
    if build is None:
        known = ", ".join([*_OPERATORS, "is null", "is not null"])
        raise ApiError("SYS.1007", f"unknown query operator[{condition.op}]; the operators are {known}")
    if condition.value is None:
        text = json.dumps(condition.model_dump())
        raise ApiError("SYS.1007", f"the query condition {text} needs a value")
    return build(_Operand(column, kind, condition))


@dataclass(frozen=True)
class _Operand:
    """A column and the text it is compared with. Strings compare without regard to case.

    Identities hold small letters only, so their index serves as it is.
    """

    column: ColumnElement[Any]
    kind: type
    condition: Condition

    @property
    def left(self) -> ColumnElement[Any]:
        identity = self.column.key == "uuid" or bool(self.column.foreign_keys)
        return func.lower(self.column) if self.kind is str and not identity else self.column

    @property
    def one(self) -> Any:
        return self._convert(str(self.condition.value).strip())

    @property
    def many(self) -> list[Any]:
        value = self.condition.value
        parts = value if isinstance(value, list) else str(value).split(",")
        if len(parts) > MOST_VALUES:
            raise ApiError("SYS.1007", f"condition[{self.condition.name}] has more than {MOST_VALUES} values")
        return [self._convert(str(part).strip()) for part in parts]

    @property
    def pattern(self) -> str:
        """With a backslash for what it is: PostgreSQL alone would take it for an escape."""
        text: str = self._convert(str(self.condition.value).strip(), str)
        return text.replace("\\", "\\\\")

    def _convert(self, text: str, kind: type | None = None) -> Any:
        try:
            return _parse(text, kind or self.kind)
        except (ValueError, KeyError, OverflowError) as error:
            raise ApiError(
                "SYS.1007",
                f"condition[{self.condition.name}]: [{text}] is not a value of type {self.kind.__name__}",
            ) from error


def _parse(text: str, kind: type) -> Any:
    if kind is str:
        if "\0" in text:
            raise ValueError("no database holds this character")
        text.encode()  # half a surrogate pair is a ValueError here, and would be one in the database's driver
        return text.lower()
    if kind is datetime:
        return from_wire(text)
    if kind is bool:
        return BOOLEANS[text.lower()]
    value = kind(text)
    if abs(value) > LARGEST:
        raise OverflowError(text)
    return value


_OPERATORS: dict[str, Callable[[_Operand], ColumnElement[bool]]] = {
    "=": lambda o: o.left == o.one,
    "!=": lambda o: o.left != o.one,
    ">": lambda o: o.left > o.one,
    ">=": lambda o: o.left >= o.one,
    "<": lambda o: o.left < o.one,
    "<=": lambda o: o.left <= o.one,
    "in": lambda o: o.left.in_(o.many),
    "not in": lambda o: o.left.not_in(o.many),
    "like": lambda o: o.left.like(o.pattern, escape="\\"),
    "not like": lambda o: o.left.not_like(o.pattern, escape="\\"),
}
