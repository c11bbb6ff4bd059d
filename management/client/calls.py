"""What generated calls and answers have in common."""

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Generic, TypedDict, TypeVar

T = TypeVar("T")
A_co = TypeVar("A_co", covariant=True)


class One(TypedDict, Generic[T]):
    """The answer of a call about one thing."""

    inventory: T
    success: bool


class Many(TypedDict, Generic[T], total=False):
    """The answer of a query: `inventories` unless only a count was asked for, `total` when one was."""

    inventories: list[T]
    total: int
    success: bool


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a query: `Condition("vmNics.ip", "=", "10.0.0.5")`. All of a query's hold together."""

    name: str
    op: str
    value: Any = None

    def to_wire(self) -> dict[str, Any]:
        return {"name": self.name, "op": self.op, "value": self.value}


@dataclass(frozen=True, kw_only=True)
class Call(Generic[A_co]):
    """A call whose answer is an `A_co`. A parameter that is None is not sent: the server has a default."""

    wire_name: ClassVar[str]

    def to_wire(self) -> dict[str, Any]:
        """The parameters as they are sent."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: _wire(value) for name, value in values.items() if value is not None}


def _wire(value: Any) -> Any:
    if isinstance(value, list):
        return [_wire(inner) for inner in value]
    return value.to_wire() if isinstance(value, Condition) else value
