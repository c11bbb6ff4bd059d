"""Queries: one declarative inventory per kind of row, compiled to SQL with bound parameters only."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field
from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    DateTime,
    Integer,
    Select,
    bindparam,
    func,
    inspect,
    select,
)
from sqlalchemy.orm import InstrumentedAttribute

from management.server.clock import to_wire
from management.server.conditions import Condition, compare
from management.server.errors import ApiError
from management.server.messages import ApiMessage, Caller
from management.server.models import Base
from management.server.statements import Reader, fetch

if TYPE_CHECKING:
    from management.server.node import Node

DEFAULT_LIMIT = 1000
LARGEST_PAGE = 2**31 - 1
MOST_CONDITIONS, MOST_LINKS = 100, 8
"""Of a query, and of one condition's name: databases have limits of their own, and say so late."""

NEGATIVE = {"!=": "=", "not in": "in", "not like": "like", "is null": "is not null"}


@dataclass(frozen=True)
class Link:
    """Rows of another inventory that belong to a row: its column `mine` equals their column `theirs`.

    Conditions reach through it (`host.zone.name`). A `shown` link is also a list inside each row.
    """

    name: str
    target: str
    mine: str = "uuid"
    theirs: str = "uuid"
    shown: bool = False


@dataclass(frozen=True)
class Values:
    """A list of plain values that has a table of its own: `column`, for the row whose uuid is in `owner`.

    Where the table serves several kinds of rows, `kind` is the column that says whose a value is: a model's name.
    """

    name: str
    column: InstrumentedAttribute[str]
    owner: InstrumentedAttribute[str]
    kind: InstrumentedAttribute[Any] | None = None


@dataclass(frozen=True, eq=False)
class Inventory:
    """How rows of `model` look on the wire: the named columns, nulls left out, and the lists that belong to them.

    `order` is the order of rows that no `sortBy` asks for. `alive` names the column that is null unless the row
    is deleted; deleted rows are left out. `narrower` are the inventories of models derived from this one: a row
    of theirs has their fields too. Other inventories link to this one by its name.
    """

    name: str
    model: type[Base]
    fields: tuple[str, ...]
    order: tuple[str, ...] = ("createDate", "uuid")
    alive: str | None = None
    links: tuple[Link, ...] = ()
    lists: tuple[Values, ...] = ()
    narrower: tuple["Inventory", ...] = ()

    def __post_init__(self) -> None:
        INVENTORIES[self.name] = self

    def living(self) -> list[ColumnElement[bool]]:
        """The clause that leaves deleted rows out, if this kind has any."""
        return [] if self.alive is None else [self.column(self.alive).is_(None)]

    def ordering(self) -> list[ColumnElement[Any]]:
        return [self.column(name).asc() for name in self.order]

    def column(self, name: str) -> Column[Any]:
        return inspect(self.model).columns[name]

    def values(self, name: str) -> Values | None:
        """The list of plain values that a condition means by `name`."""
        common = ON_ALL.get(name) if hasattr(self.model, "uuid") else None
        return next((values for values in self.lists if values.name == name), common)

    def link(self, name: str) -> Link | None:
        """The link of this name to rows that this release has."""
        return next((link for link in self.links if link.name == name and link.target in INVENTORIES), None)

    def kinds(self) -> set[str]:
        """The names of the models of these rows: their own, broader ones and narrower ones."""
        narrower = (inventory.model for inventory in self.narrower)
        return {model.__name__ for model in (*self.model.__mro__, *narrower) if hasattr(model, "__table__")}

    def kind(self, name: str) -> type:
        """The Python type of a field, e.g. `str`."""
        kind: type = self.column(name).type.python_type
        return kind

    def show(self, session: Reader, column: str, keys: Sequence[str]) -> list[dict[str, Any]]:
        """The living rows whose `column` is one of `keys`, on the wire, with their lists."""
        shown = _rows(session, self, _select_by(self, column), {"keys": list(keys)})
        self.add_lists(session, shown)
        return shown

    def add_lists(self, session: Reader, shown: list[dict[str, Any]]) -> None:
        """Put the lists that belong to these rows into them: one statement per list, not per row."""
        for values in self.lists:
            _add_values(session, values, shown)
        for link in self.links:
            if link.shown and link.target in INVENTORIES:
                _add_children(session, link, shown)

    def show_one(self, session: Reader, uuid: str) -> dict[str, Any]:
        """The row with this uuid, on the wire, also when it is deleted."""
        shown = _rows(session, self, _select_one(self), {"uuid": uuid})
        self.add_lists(session, shown)
        return shown[0]


INVENTORIES: dict[str, Inventory] = {}
"""Every inventory of this release by name, for links."""

ON_ALL: dict[str, Values] = {}
"""Lists that the rows of every inventory with a uuid can have. Conditions may name them; they are shown nowhere."""


@lru_cache(256)  # callers choose the fields
def _select(inventory: Inventory, fields: tuple[str, ...] | None) -> Select[Any]:
    """Columns by their names; those of narrower models are null, and so left out, in rows that are none."""
    statement = select(*map(inventory.column, fields or inventory.fields))
    statement = statement.select_from(inspect(inventory.model).selectable)
    for other in inventory.narrower if fields is None else ():
        table = other.model.__table__
        statement = statement.outerjoin(table, table.c.uuid == inventory.column("uuid"))
        statement = statement.add_columns(*(table.c[name] for name in other.fields if name not in inventory.fields))
    return statement


@lru_cache(256)
def _select_one(inventory: Inventory) -> Select[Any]:
    """The row whose uuid is the parameter `uuid`."""
    return _select(inventory, None).where(inventory.column("uuid") == bindparam("uuid"))


@lru_cache(256)
def _select_by(inventory: Inventory, column: str) -> Select[Any]:
    """The living rows whose `column` is one of the parameter `keys`."""
    keys: BindParameter[Any] = bindparam("keys", expanding=True)
    statement = _select(inventory, None).where(inventory.column(column).in_(keys), *inventory.living())
    return statement.order_by(*inventory.ordering())


@lru_cache(256)
def _moments(inventory: Inventory) -> frozenset[str]:
    """The names of fields that are moments."""
    fields = (each.column(name) for each in (inventory, *inventory.narrower) for name in each.fields)
    return frozenset(column.key for column in fields if isinstance(column.type, DateTime))


@lru_cache(256)
def _select_values(values: Values) -> Select[str, str]:
    """Owners that are in the parameter `keys`, and their values."""
    return select(values.owner, values.column).where(values.owner.in_(bindparam("keys", expanding=True)))


def _rows(
    session: Reader, inventory: Inventory, statement: Select[Any], parameters: dict[str, Any]
) -> list[dict[str, Any]]:
    """The rows on the wire, without their nulls. Objects made of them would take longer than all the rest."""
    found = fetch(session, statement, parameters)
    moments = _moments(inventory).intersection(found.names)
    shown = []
    for row in found.values:
        entry = {name: value for name, value in zip(found.names, row, strict=True) if value is not None}
        for name in moments.intersection(entry):
            entry[name] = to_wire(entry[name])
        shown.append(entry)
    return shown


def _add_values(session: Reader, values: Values, shown: Sequence[dict[str, Any]]) -> None:
    uuids = [entry["uuid"] for entry in shown]
    found = defaultdict(list)
    for owner, value in fetch(session, _select_values(values), {"keys": uuids}).values:
        found[owner].append(value)
    for entry in shown:
        entry[values.name] = sorted(found[entry["uuid"]])


def _add_children(session: Reader, link: Link, shown: Sequence[dict[str, Any]]) -> None:
    target = INVENTORIES[link.target]
    keys = [entry[link.mine] for entry in shown if link.mine in entry]
    found = defaultdict(list)
    children = target.show(session, link.theirs, keys) if keys else []
    for child in children:
        found[child[link.theirs]].append(child)
    for entry in shown:
        entry[link.name] = found[entry.get(link.mine)]


class QueryMessage(ApiMessage):
    """The base of every Query*. Subclasses name their inventory."""

    sync: ClassVar[bool] = True
    for_everybody: ClassVar[bool] = True
    inventory: ClassVar[Inventory]

    conditions: list[Condition] = Field(max_length=MOST_CONDITIONS)
    limit: int = Field(default=DEFAULT_LIMIT, ge=0, le=LARGEST_PAGE)
    start: int = Field(default=0, ge=0, le=LARGEST_PAGE)
    count: bool = False
    replyWithCount: bool = False
    sortBy: str | None = None
    sortDirection: Literal["asc", "desc"] = "asc"
    fields_: list[str] | None = Field(default=None, alias="fields")

    def handle(self, node: "Node", _caller: Caller) -> dict[str, Any]:
        inventory = self.inventory
        fields = check_fields(inventory, self.fields_)
        asked = tuple((condition.name, condition.op) for condition in self.conditions)
        kinds, _ = _compile(inventory, asked)
        values = {
            _parameter(number): condition.read(kind)
            for number, (condition, kind) in enumerate(zip(self.conditions, kinds, strict=True))
        }
        rows = _select_page(inventory, asked, fields, self.sortBy, self.sortDirection)
        answer: dict[str, Any] = {}
        with node.database.snapshot() as session:
            if self.count or self.replyWithCount:
                ((answer["total"],),) = fetch(session, _count(inventory, asked), values).values
            if not self.count:
                shown = _rows(session, inventory, rows, {**values, "limit": self.limit, "start": self.start})
                if fields is None:
                    inventory.add_lists(session, shown)
                answer["inventories"] = shown
        return answer


def check_fields(inventory: Inventory, fields: Sequence[str] | None) -> tuple[str, ...] | None:
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
    return None if fields is None else tuple(fields)


Asked = tuple[tuple[str, str], ...]
"""The name and the operator of each condition of a query: all of it that its SQL depends on."""


def _parameter(number: int) -> str:
    """The parameter that the value of this condition is bound to."""
    return f"condition_{number}"


@lru_cache(256)
def _compile(inventory: Inventory, asked: Asked) -> tuple[tuple[type, ...], tuple[ColumnElement[bool], ...]]:
    """The types of the conditions' values, and the clauses that rows must meet.

    Raises:
        ApiError: a field, a link or an operator does not exist.
    """
    terms = [_Term(name, op, _parameter(number)) for number, (name, op) in enumerate(asked)]
    clauses = (*_compile_terms(inventory, terms), *inventory.living())
    return tuple(_kind(inventory, term.name) for term in terms), clauses


@lru_cache(256)
def _select_page(
    inventory: Inventory, asked: Asked, fields: tuple[str, ...] | None, sort_by: str | None, direction: str
) -> Select[Any]:
    """The rows from `start` on, `limit` of them, for which the conditions hold.

    Raises:
        ApiError: see `_compile`; nothing can be sorted by that.
    """
    order = inventory.ordering()
    if sort_by is not None:
        if sort_by not in inventory.fields:
            raise ApiError("SYS.1000", f"cannot sort by [{sort_by}]: {inventory.name} has no such field")
        column = inventory.column(sort_by)
        order.insert(0, column.desc() if direction == "desc" else column.asc())
    _, clauses = _compile(inventory, asked)
    statement = _select(inventory, fields).where(*clauses).order_by(*order)
    return statement.limit(bindparam("limit", type_=Integer)).offset(bindparam("start", type_=Integer))


@lru_cache(256)
def _count(inventory: Inventory, asked: Asked) -> Select[int]:
    """How many rows there are for which the conditions hold."""
    _, clauses = _compile(inventory, asked)
    return select(func.count()).select_from(inventory.model).where(*clauses)


@dataclass(frozen=True, slots=True)
class _Term:
    """A condition whose value is still to come, as `parameter`."""

    name: str
    op: str
    parameter: str


def _compile_terms(inventory: Inventory, terms: Sequence[_Term]) -> list[ColumnElement[bool]]:
    """Conditions as SQL. All that reach through one link speak of the same linked row."""
    clauses, linked = [], defaultdict(list)
    for term in terms:
        if term.name.count(".") > MOST_LINKS:
            raise ApiError("SYS.1007", f"condition[{term.name}] reaches through more than {MOST_LINKS} links")
        head, dot, rest = term.name.partition(".")
        if dot:
            linked[head].append(replace(term, name=rest))
        else:
            clauses.append(_compile_term(inventory, term))
    for head, inner in linked.items():
        link = inventory.link(head)
        if link is None:
            raise ApiError(
                "SYS.1007", f"condition[{head}.{inner[0].name}] is invalid: {inventory.name} has no [{head}]"
            )
        target = INVENTORIES[link.target]
        theirs = select(target.column(link.theirs)).where(*_compile_terms(target, inner), *target.living())
        clauses.append(inventory.column(link.mine).in_(theirs))
    return clauses


def _compile_term(inventory: Inventory, term: _Term) -> ColumnElement[bool]:
    values = inventory.values(term.name)
    if values is not None:
        return _compile_list(inventory, values, term)
    if term.name not in inventory.fields:
        raise ApiError("SYS.1007", f"condition[{term.name}] is invalid: {inventory.name} has no such field")
    return compare(inventory.column(term.name), term.op, term.parameter)


def _compile_list(inventory: Inventory, values: Values, term: _Term) -> ColumnElement[bool]:
    """True for rows that have such a value; a negative operator is true for rows that have none."""
    positive = compare(values.column.expression, NEGATIVE.get(term.op, term.op), term.parameter)
    owners = select(values.owner).where(positive)
    if values.kind is not None:
        owners = owners.where(values.kind.in_(sorted(inventory.kinds())))
    mine = inventory.column("uuid").expression
    return mine.not_in(owners) if term.op in NEGATIVE else mine.in_(owners)


def _kind(inventory: Inventory, path: str) -> type:
    """The Python type of what a condition with this name, which exists, compares."""
    head, dot, rest = path.partition(".")
    link = inventory.link(head) if dot else None
    if link is not None:
        return _kind(INVENTORIES[link.target], rest)
    return inventory.kind(head) if inventory.values(head) is None else str
