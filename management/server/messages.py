"""What a call looks like: declarative message classes, and the registry that finds them.

A message class names its full wire name, declares its fields with their rules, and says in `handle` what it does.
A family of messages is a module in `server/apis/`; leaving the module out leaves the family out.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError

from management.server.errors import ApiError
from management.server.models import Base
from management.server.timeoutlines import LONGEST_MS

if TYPE_CHECKING:
    from management.server.node import Node

UUID_PATTERN = r"^[0-9a-f]{12}[1-5][0-9a-f]{3}[89ab][0-9a-f]{15}$"


@dataclass(frozen=True, slots=True)
class Resource:
    """Marks a field that must hold the uuid of an existing row of `model`."""

    model: type[Base]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes the call, as far as its session says."""

    session_uuid: str | None = None
    account_uuid: str | None = None
    address: str = ""


class SessionRef(BaseModel):
    uuid: str | None = None


class ApiMessage(BaseModel):
    """The base of all calls. Subclasses set `wire_name` and override `handle`.

    A call that is not `for_everybody` is for the account admin only.
    """

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True, frozen=True)

    wire_name: ClassVar[str] = ""
    sync: ClassVar[bool] = False
    needs_session: ClassVar[bool] = True
    for_everybody: ClassVar[bool] = False
    repeatable: ClassVar[bool] = False
    """Whether a call that a dead node had begun may simply be run again."""
    about: ClassVar[str] = "uuid"
    """The field that names what such a call changes."""

    session: SessionRef | None = None
    timeout: int = Field(default=-1, ge=-1, le=LONGEST_MS, description="milliseconds; -1: as it is configured")

    def handle(self, node: "Node", caller: Caller) -> dict[str, Any]:
        """Do what the message asks and return the answer's fields (without `success`).

        Raises:
            ApiError: it failed in a way that the caller is told about.
        """
        raise NotImplementedError

    @classmethod
    def verb(cls) -> str:
        """`QueryHost` for `org.zstack.header.host.APIQueryHostMsg`."""
        return cls.wire_name.rpartition(".API")[2].removesuffix("Msg")

    @classmethod
    def answer_name(cls) -> str:
        """The envelope key of the answer: a Reply to a sync call, an Event otherwise."""
        return cls.wire_name.removesuffix("Msg") + ("Reply" if cls.sync else "Event")

    @classmethod
    def resources(cls) -> Iterator[tuple[str, Resource]]:
        """The fields that name rows, with the table they must exist in."""
        for name, field in cls.model_fields.items():
            for mark in field.metadata:
                if isinstance(mark, Resource):
                    yield name, mark

    @classmethod
    def secrets(cls) -> frozenset[str]:
        """The fields that must never be recorded or shown: those of a secret type, and those left out of the repr."""
        fields = cls.model_fields.items()
        return frozenset(name for name, field in fields if field.annotation is SecretStr or not field.repr)

    @classmethod
    def subject(cls, fields: Mapping[str, Any]) -> str | None:
        """The name of what such a call changes: calls on one resource take turns, on whatever node they run."""
        subject = fields.get(cls.about)
        return subject if isinstance(subject, str) and subject else None


class CreateMessage(ApiMessage):
    """A call that makes a resource; its uuid may be chosen by the caller."""

    resourceUuid: str | None = Field(default=None, pattern=UUID_PATTERN)


@dataclass(frozen=True, slots=True)
class Family:
    """One module of `server/apis/`: its messages and its hooks into the node's life."""

    name: str
    messages: tuple[type[ApiMessage], ...]
    join: Callable[["Node"], None] | None
    on_ready: Callable[["Node"], None] | None


class Registry:
    """All messages of this release by wire name, and their families in order of name."""

    def __init__(self, families: tuple[Family, ...]) -> None:
        self.families = families
        self.messages = {m.wire_name: m for family in families for m in family.messages}

    def decode(self, wire_name: str, fields: dict[str, Any]) -> ApiMessage:
        """Turn the inside of an envelope into a checked message.

        Raises:
            ApiError: a field is wrong; every mistake is in the details.
        """
        if any("\0" in text for text in _texts(fields)):
            raise ApiError("SYS.1007", f"message[{wire_name}]: no text may have the character U+0000")
        try:
            return self.messages[wire_name].model_validate(fields)
        except ValidationError as error:
            raise ApiError("SYS.1007", "; ".join(_mistakes(wire_name, error))) from error


def discover(package: ModuleType) -> Registry:
    """Import every module of `package` and collect what it declares."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__))
    return Registry(tuple(_family(importlib.import_module(f"{package.__name__}.{name}")) for name in names))


def _family(module: ModuleType) -> Family:
    messages = tuple(
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, ApiMessage)
        and value.__module__ == module.__name__
        and value.wire_name
    )
    return Family(module.__name__, messages, getattr(module, "join", None), getattr(module, "on_ready", None))


def _texts(value: Any) -> Iterator[str]:
    """Every text in a decoded JSON value, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from value
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


_TEXTS = {
    "missing": "must be given",
    "extra_forbidden": "is not a parameter of this call",
    "string_too_short": "must not be empty",
    "string_pattern_mismatch": "has the wrong form",
}


def _mistakes(wire_name: str, error: ValidationError) -> Iterator[str]:
    for mistake in error.errors(include_input=False, include_url=False, include_context=False):
        field = ".".join(str(part) for part in mistake["loc"]) or "message"
        text = _TEXTS.get(mistake["type"]) or re.sub(r"^(Input|Value error,|String|List) ", "", mistake["msg"])
        yield f"field[{field}] of message[{wire_name}]: {text}"
