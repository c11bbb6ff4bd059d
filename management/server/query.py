"""Queries: one declarative inventory per kind of row, compiled to SQL with bound parameters only."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import ColumnElement, Select, func, inspect, select
from sqlalchemy.orm import InstrumentedAttribute

from management.server.clock import from_wire, to_wire
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller
from management.server.models import Base

if TYPE_CHECKING:
    from management.server.node import Node

DEFAULT_LIMIT = 1000
BOOLEANS = {"true": True, "false": False, "1": True, "0": False}


@dataclass(frozen=True)
class Inventory:
    """How rows of `model` look on the wire: the named columns, nulls left out.

    `order` is the order of rows that no `sortBy` asks for. `alive` names the column that is null unless the row
    is deleted; deleted rows are left out.
    """

    name: str
    model: type[Base]
    fields: tuple[str, ...]
    order: tuple[str, ...] = ("createDate", "uuid")
    alive: str | None = None

    def column(self, name: str) -> InstrumentedAttribute[Any]:
        attribute: InstrumentedAttribute[Any] = getattr(self.model, name)
        return attribute

    def kind(self, name: str) -> type:
        """The Python type of a field, e.g. `str`."""
        kind: type = inspect(self.model).columns[name].type.python_type
        return kind

    def render(self, row: Base, fields: Sequence[str] | None = None) -> dict[str, Any]:
        """One row on the wire."""
        values = {name: getattr(row, name) for name in fields or self.fields}
        return {
            name: to_wire(value) if isinstance(value, datetime) else value
            for name, value in values.items()
            if value is not None
        }


class Condition(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    op: str
    value: Any = None


class QueryMessage(ApiMessage):
    """The base of every Query*. Subclasses name their inventory."""

    sync: ClassVar[bool] = True
    inventory: ClassVar[Inventory]

    conditions: list[Condition]
    limit: int = Field(default=DEFAULT_LIMIT, ge=0)
    start: int = Field(default=0, ge=0)
    count: bool = False
    replyWithCount: bool = False
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] = "asc"
    fields_: list[str] | None = Field(default=None, alias="fields")

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        inventory = self.inventory
        fields = check_fields(inventory, self.fields_)
        clauses = [compile_condition(inventory, condition) for condition in self.conditions]
        if inventory.alive is not None:
            clauses.append(inventory.column(inventory.alive).is_(None))
        answer: dict[str, Any] = {}
        with node.database.read() as session:
            if self.count or self.replyWithCount:
                total = select(func.count()).select_from(inventory.model).where(*clauses)
                answer["total"] = session.execute(total).scalar_one()
            if not self.count:
                rows = session.scalars(self._page(select(inventory.model).where(*clauses)))
                answer["inventories"] = [inventory.render(row, fields) for row in rows]
        return answer

    def _page(self, statement: Select[Any]) -> Select[Any]:
        order = [self.inventory.column(name).asc() for name in self.inventory.order]
        if self.sortBy is not None:
            if self.sortBy not in self.inventory.fields:
                raise ApiError("SYS.1000", f"cannot sort by [{self.sortBy}]: {self.inventory.name} has no such field")
            column = self.inventory.column(self.sortBy)
            order.insert(0, column.desc() if self.sortDirection == "desc" else column.asc())
        return statement.order_by(*order).limit(self.limit).offset(self.start)


def check_fields(inventory: Inventory, fields: Sequence[str] | None) -> Sequence[str] | None:
    """Return `fields` when each of them exists.

    Raises:
        ApiError: one does not.
    """
    for name in fields or ():
        if name not in inventory.fields:
            raise ApiError(
                "SYS.1007",
                f"field[{name}] is not a plain field of {inventory.name}; "
                f"'fields' may name {', '.join(inventory.fields)}",
            )
    return fields


def compile_condition(inventory: Inventory, condition: Condition) -> ColumnElement[bool]:
    """One condition as SQL.

    Raises:
        ApiError: the field or the operator does not exist, or the value does not fit the field.
    """
    if condition.name not in inventory.fields:
        raise ApiError("SYS.1007", f"condition[{condition.name}] is invalid: {inventory.name} has no such field")
    column = inventory.column(condition.name)
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
    return build(_Operand(column, inventory.kind(condition.name), condition))


@dataclass(frozen=True)
class _Operand:
    """A column and the text it is compared with. Strings compare without regard to case."""

    column: InstrumentedAttribute[Any]
    kind: type
    condition: Condition

    @property
    def left(self) -> ColumnElement[Any]:
        return func.lower(self.column) if self.kind is str else self.column.expression

    @property
    def one(self) -> Any:
        return self._convert(str(self.condition.value).strip())

    @property
    def many(self) -> list[Any]:
        value = self.condition.value
        parts = value if isinstance(value, list) else str(value).split(",")
        return [self._convert(str(part).strip()) for part in parts]

    @property
    def pattern(self) -> str:
        return str(self.condition.value).strip().lower()

    def _convert(self, text: str) -> Any:
        try:
            if self.kind is str:
                return text.lower()
            if self.kind is datetime:
                return from_wire(text)
            return BOOLEANS[text.lower()] if self.kind is bool else self.kind(text)
        except (ValueError, KeyError) as error:
            raise ApiError(
                "SYS.1007",
                f"condition[{self.condition.name}]: [{text}] is not a value of type {self.kind.__name__}",
            ) from error


_OPERATORS: dict[str, Callable[[_Operand], ColumnElement[bool]]] = {
    "=": lambda o: o.left == o.one,
    "!=": lambda o: o.left != o.one,
    ">": lambda o: o.left > o.one,
    ">=": lambda o: o.left >= o.one,
    "<": lambda o: o.left < o.one,
    "<=": lambda o: o.left <= o.one,
    "in": lambda o: o.left.in_(o.many),
    "not in": lambda o: o.left.not_in(o.many),
    "like": lambda o: o.left.like(o.pattern),
    "not like": lambda o: o.left.not_like(o.pattern),
}
