"""Reading rows with statements that are kept: SQLAlchemy compiles one once and its types convert the values, but the
driver's own cursor runs it. SQLAlchemy's way to it takes longer than most look-ups (docs/adr/0083)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Connection, Dialect, Select
from sqlalchemy.orm import Session

Reader = Session | Connection
"""What rows are read with."""
Convert = Callable[[Any], Any] | None

_KEPT = 256
_LONGEST = 128
"""Values in the lists of a statement that is kept: each number of them is another text."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a statement found: the names of its columns, and the values of each row."""

    names: tuple[str, ...]
    values: Sequence[tuple[Any, ...]]


def fetch(reader: Reader, statement: Select[*tuple[Any, ...]], parameters: Mapping[str, Any]) -> Rows:
    """All rows of `statement`, with `parameters` by their names: lists for those that expand.

    What was compiled is found again by the statement itself, which should live on. Errors are the driver's own.
    """
    if isinstance(reader, Session):
        reader.flush()
        connection = reader.connection()
    else:
        connection = reader
    lengths = tuple((name, len(value)) for name, value in parameters.items() if isinstance(value, list))
    compiling = _kept if sum(length for _, length in lengths) <= _LONGEST else _compile
    compiled = compiling(statement, connection.dialect, lengths)
    cursor = connection.connection.cursor()
    try:
        cursor.execute(compiled.text, compiled.bind(parameters))
        return Rows(compiled.names, compiled.read(cursor.fetchall()))
    finally:
        cursor.close()


@dataclass(frozen=True, slots=True)
class _Value:
    """A value that the driver gets under `name`: the parameter `source`, or its element at `place`."""

    name: str
    source: str
    place: int | None
    convert: Convert


@dataclass(frozen=True, slots=True)
class _Compiled:
    """A statement for the driver: `fixed` are its own values, `order` the names where they go by position."""

    text: str
    names: tuple[str, ...]
    order: tuple[str, ...] | None
    fixed: Mapping[str, Any]
    values: tuple[_Value, ...]
    converted: tuple[tuple[int, Callable[[Any], Any]], ...]

    def bind(self, parameters: Mapping[str, Any]) -> Any:
        bound = dict(self.fixed)
        for value in self.values:
            given = parameters[value.source]
            if value.place is not None:
                given = given[value.place]
            bound[value.name] = given if value.convert is None else value.convert(given)
        return bound if self.order is None else [bound[name] for name in self.order]

    def read(self, found: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
        if not self.converted:
            return found
        rows = []
        for row in found:
            values = list(row)
            for place, convert in self.converted:
                values[place] = convert(values[place])
            rows.append(tuple(values))
        return rows


def _compile(statement: Select[*tuple[Any, ...]], dialect: Dialect, lengths: tuple[tuple[str, int], ...]) -> _Compiled:
    """`lengths` are those of the parameters that are lists."""
    compiled = _written(statement, dialect)
    given: dict[str, Any] = {name: None for bind, name in compiled.bind_names.items() if bind.required}
    given |= {name: [None] * length for name, length in lengths}
    expanded = compiled.construct_expanded_state(given)
    fixed, values = {}, []
    for bind, name in compiled.bind_names.items():
        convert = bind.type.dialect_impl(dialect).bind_processor(dialect)
        parts = expanded.parameter_expansion.get(name)
        for place, part in enumerate([name] if parts is None else parts):
            if bind.required:
                values.append(_Value(part, name, None if parts is None else place, convert))
            else:
                value = expanded.parameters[part]
                fixed[part] = value if convert is None else convert(value)
    columns = statement.selected_columns
    read = [column.type.dialect_impl(dialect).result_processor(dialect, None) for column in columns]
    return _Compiled(
        text=expanded.statement,
        names=tuple(columns.keys()),
        order=None if expanded.positiontup is None else tuple(expanded.positiontup),
        fixed=fixed,
        values=tuple(values),
        converted=tuple((place, convert) for place, convert in enumerate(read) if convert is not None),
    )


_kept = lru_cache(_KEPT)(_compile)


@lru_cache(_KEPT)
def _written(statement: Select[*tuple[Any, ...]], dialect: Dialect) -> Any:
    """SQLAlchemy's compiled form, whose lists are still to be expanded."""
    return statement.compile(dialect=dialect)
