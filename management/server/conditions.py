"""One condition of a query on one column: its SQL, which is the same for all values, and the value to bind."""

import json
import operator
from collections.abc import Callable
from datetime import datetime
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import BindParameter, ColumnElement, bindparam, func

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

    def read(self, kind: type) -> Any:
        """The value to bind, for a column that holds values of this Python type: a list of them for lists.

        Raises:
            ApiError: the value does not fit.
        """
        if self.op in _UNARY:
            return None
        if self.value is None:
            raise ApiError("SYS.1007", f"the query condition {json.dumps(self.model_dump())} needs a value")
        if self.op in ("in", "not in"):
            return self._list(kind)
        text = str(self.value).strip()
        if self.op in ("like", "not like"):
            # A backslash is what it is: PostgreSQL alone would take it for an escape.
            return str(self._convert(text, str)).replace("\\", "\\\\")
        return self._convert(text, kind)

    def _list(self, kind: type) -> list[Any]:
        parts = self.value if isinstance(self.value, list) else str(self.value).split(",")
        if len(parts) > MOST_VALUES:
            raise ApiError("SYS.1007", f"condition[{self.name}] has more than {MOST_VALUES} values")
        return [self._convert(str(part).strip(), kind) for part in parts]

    def _convert(self, text: str, kind: type) -> Any:
        try:
            return _parse(text, kind)
        except (ValueError, KeyError, OverflowError) as error:
            raise ApiError(
                "SYS.1007", f"condition[{self.name}]: [{text}] is not a value of type {kind.__name__}"
            ) from error


def compare(column: ColumnElement[Any], op: str, parameter: str) -> ColumnElement[bool]:
    """The comparison of this column with the parameter of this name. Strings compare without regard to case.

    Raises:
        ApiError: there is no such operator.
    """
    if op in _UNARY:
        return _UNARY[op](column)
    build = _BINARY.get(op)
    if build is None:
        raise ApiError("SYS.1007", f"unknown query operator[{op}]; the operators are {', '.join([*_BINARY, *_UNARY])}")
    # Identities hold small letters only, so their index serves as it is.
    identity = column.key == "uuid" or bool(column.foreign_keys)
    left = func.lower(column) if column.type.python_type is str and not identity else column
    return build(left, bindparam(parameter, expanding=op in ("in", "not in")))


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


_UNARY: dict[str, Callable[[ColumnElement[Any]], ColumnElement[bool]]] = {
    "is null": lambda column: column.is_(None),
    "is not null": lambda column: column.is_not(None),
}
_BINARY: dict[str, Callable[[ColumnElement[Any], BindParameter[Any]], ColumnElement[bool]]] = {
    "=": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
    "in": lambda left, values: left.in_(values),
    "not in": lambda left, values: left.not_in(values),
    "like": lambda left, pattern: left.like(pattern, escape="\\"),
    "not like": lambda left, pattern: left.not_like(pattern, escape="\\"),
}
