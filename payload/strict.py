"""Strict readers of JSON: each takes a value and gives what it stands for, or says where it is malformed.

For the parts of a bundle that everybody reads. Nothing here takes long to import, so that a check of a bundle starts at
once; what people write, and what only an install looks at, are pydantic models (`payload.document`). `Shape` and
`Bridge` are how these have fields of the same kinds: each kind is defined once.
"""

from __future__ import annotations

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import Field, fields, is_dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

T = TypeVar("T")
Reader = Callable[[object], T]
"""Raises `MalformedError`."""


class MalformedError(ValueError):
    """A value that is not what it must be; `where` leads to it from the top of the document."""

    def __init__(self, why: str, where: str = "") -> None:
        super().__init__(f"{where.lstrip('.')}: {why}" if where else why)
        self.why, self.where = why, where

    def below(self, step: str) -> MalformedError:
        """The same, seen from one level further up."""
        return MalformedError(self.why, f"{step}{self.where}")


class Shape:
    """A text that fits a pattern: a reader, and an annotation of the fields of pydantic models."""

    __slots__ = ("_compiled", "pattern")

    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self._compiled = re.compile(pattern)

    def __call__(self, value: object) -> str:
        if not isinstance(value, str) or self._compiled.fullmatch(value) is None:
            raise MalformedError(f"{_short(value)} does not fit {self.pattern}")
        return value

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        from pydantic_core import core_schema  # noqa: PLC0415 - whoever asks has it loaded

        return core_schema.str_schema(pattern=self.pattern)


class Bridge(Generic[T]):
    """Annotates a field of a pydantic model that is no pydantic model itself: `read` from JSON, `shown` in it."""

    __slots__ = ("_kind", "_read", "_shown")

    def __init__(self, kind: type[T], read: Reader[T], shown: Callable[[T], object]) -> None:
        self._kind, self._read, self._shown = kind, read, shown

    def _validated(self, value: object) -> T:
        return value if isinstance(value, self._kind) else self._read(value)

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        from pydantic_core import core_schema  # noqa: PLC0415 - whoever asks has it loaded

        shown = core_schema.plain_serializer_function_ser_schema(self._shown)
        return core_schema.no_info_plain_validator_function(self._validated, serialization=shown)


class Line(ABC):
    """A value that is one line of text in a document."""

    __slots__ = ()

    @abstractmethod
    def line(self) -> str:
        """The line, without its end."""


def load(text: bytes) -> object:
    """JSON in UTF-8.

    Raises:
        MalformedError: it is something else.
    """
    try:
        return json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"no JSON: {error}") from error


def text(value: object) -> str:
    """Any text."""
    if not isinstance(value, str):
        raise MalformedError(f"{_short(value)} is no text")
    return value


def words(*allowed: str) -> Reader[str]:
    """One of these words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise MalformedError(f"{_short(value)} is none of {', '.join(allowed)}")
        return value

    return read


def whole(low: int = 0, high: int | None = None) -> Reader[int]:
    """A whole number from `low` to `high`."""

    def read(value: object) -> int:
        if type(value) is not int or value < low or (high is not None and value > high):
            raise MalformedError(f"{_short(value)} is no whole number from {low} to {'any' if high is None else high}")
        return value

    return read


def optional(reader: Reader[T]) -> Reader[T | None]:
    """The same, or null."""
    return lambda value: None if value is None else reader(value)


def rows(reader: Reader[T]) -> Reader[tuple[T, ...]]:
    """A list of them."""

    def read(value: object) -> tuple[T, ...]:
        if not isinstance(value, list | tuple):
            raise MalformedError(f"{_short(value)} is no list")
        found = []
        for each in value:
            try:
                found.append(reader(each))
            except MalformedError as error:
                raise error.below(f"[{len(found)}]") from error
        return tuple(found)

    return read


def table(value: object) -> Mapping[str, Any]:
    """An object, of which nothing else is known."""
    if not isinstance(value, dict):
        raise MalformedError(f"{_short(value)} is no object")
    return value


def record(kind: type[T], *, others: bool = False, **readers: Reader[Any]) -> Reader[T]:
    """An object with the fields of `kind`, a dataclass; see `key_of`. Those that are missing have its defaults.

    `others`: further keys may be there.
    """
    keys = {key_of(field): (field.name, readers[field.name]) for field in fields(kind)}  # type: ignore[arg-type]

    def read(value: object) -> T:
        found: dict[str, Any] = {}
        for key, each in table(value).items():
            if key not in keys:
                if others:
                    continue
                raise MalformedError(f"there is no key {_short(key)}")
            name, reader = keys[key]
            try:
                found[name] = reader(each)
            except MalformedError as error:
                raise error.below(f".{key}") from error
        try:
            return kind(**found)
        except TypeError as error:
            missing = sorted(key for key, (name, _) in keys.items() if name not in found)
            raise MalformedError(f"one of these keys is missing: {', '.join(missing)}") from error

    return read


def document(value: Any, *, defaults: bool) -> Any:
    """A dataclass, and what is in it, as JSON: what `record` reads. `defaults`: also the fields that have theirs."""
    if isinstance(value, Line):
        return value.line()
    if isinstance(value, tuple):
        return [document(each, defaults=defaults) for each in value]
    if is_dataclass(value):
        pairs = ((field, getattr(value, field.name)) for field in fields(value))
        return {
            key_of(field): document(each, defaults=defaults)
            for field, each in pairs
            if defaults or each != field.default
        }
    return value if value is None or isinstance(value, str | int | dict) else str(value)


def key_of(field: Field[Any]) -> str:
    """A field's name in a document: its own in kebab-case, or `key` of its metadata."""
    return str(field.metadata.get("key", field.name.replace("_", "-")))


def _short(value: object) -> str:
    shown = repr(value) if isinstance(value, str | int | float | None) else type(value).__name__
    return shown if len(shown) <= 80 else f"{shown[:77]}…"
