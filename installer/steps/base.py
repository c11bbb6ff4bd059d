"""What a step is: a frozen value that knows how to act, and how to be undone.

A step is written to the journal, so it is plain data (paths, names, contents) and holds no secret. For each step the
transaction calls `prepare`, writes what it returned to the journal, and only then calls `apply`. `undo` gets what
`prepare` returned; it may run twice, and after an `apply` that stopped anywhere. `cleanup` runs after the commit.
A cut-off run that goes on undoes the step that was cut off, and calls `prepare` and `apply` again.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Generic, Protocol, TypeVar, cast

from pydantic import ConfigDict, TypeAdapter, ValidationError
from typing_extensions import override

from payload import effects
from payload.archive import VerifiedBundle
from payload.errors import IntegrityError, SealiftError
from payload.events import NullSink, Sink


class Runner(Protocol):
    """Runs a child process; `effects.run` on a host, a recording fake in tests."""

    def __call__(
        self,
        argv: tuple[str, ...],
        *,
        stdin: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        timeout: float | None = None,
        check: bool = True,
        user: str | None = None,
    ) -> effects.Completed:
        """See `payload.effects.run`."""


@dataclass(frozen=True, slots=True)
class Host:
    """What steps act through. `scratch` is this step's own folder for what its undo needs."""

    scratch: Path
    sink: Sink = field(default_factory=NullSink)
    run: Runner = effects.run
    bundle: VerifiedBundle | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    used_since: bool = False
    """The run was cut off once: the product may have been at work since, on what the run left."""

    def opened_bundle(self) -> VerifiedBundle:
        """The bundle of this run.

        Raises:
            SealiftError: the run has none, which is a defect of its plan.
        """
        if self.bundle is None:
            raise SealiftError("no-bundle", "this step needs a bundle, and the run has none")
        return self.bundle

    def within(self, name: str) -> Host:
        """This host with a scratch folder of its own."""
        return replace(self, scratch=self.scratch / name)


@dataclass(frozen=True, slots=True)
class Nothing:
    """Undo data of a step that has nothing to undo."""


U = TypeVar("U")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step(ABC, Generic[U]):
    """Base of all kinds. `reason` says why the plan has this step."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")
    kind: ClassVar[str]
    undo_type: ClassVar[type[Any]] = Nothing
    staging: ClassVar[bool] = False
    """True when the step only writes beside what runs: a failure up to here is a rejection, not a rollback."""
    redone_from: ClassVar[frozenset[str]] = frozenset()
    """Kinds of earlier steps on whose undo this one's rests. A run in which this step was cut off goes on from the
    nearest of them; else from this step, whose own undo makes it possible to do it anew."""

    reason: str

    @abstractmethod
    def describe(self) -> str:
        """One line for people: what this step does."""

    @abstractmethod
    def undone(self) -> str:
        """What `undo` would do, for people, before anything is done. Pure: it may not look at the host.

        It also says what the installer cannot undo. Empty: the step changes nothing.
        """

    @abstractmethod
    def prepare(self, host: Host) -> U:
        """Look at the host and return what `undo` will need. Changes nothing outside `host.scratch`."""

    @abstractmethod
    def apply(self, host: Host, undo: U) -> None:
        """Act.

        Raises:
            SealiftError: it did not work; the transaction undoes it.
        """

    @property
    def reads(self) -> tuple[str, ...]:
        """Names of the secrets that `apply` takes from the operator's answers."""
        return ()

    def halt(self, undo: U, host: Host) -> None:
        """Before the first of a run's steps is undone: stop what this step knows of and what would act meanwhile.

        A reboot may have started it since. May run twice.
        """

    @abstractmethod
    def undo(self, undo: U, host: Host) -> None:
        """Put back what was before `apply`, also when that stopped half-way; may run twice."""

    def cleanup(self, undo: U, host: Host) -> None:
        """After the commit, which is the point of no return; may run twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlainStep(Step[Nothing]):
    """A step that can be undone whatever the host was like before."""

    @override
    def prepare(self, host: Host) -> Nothing:
        return Nothing()


@dataclass(frozen=True, slots=True, kw_only=True)
class VolatileStep(Step[U]):
    """A step whose doing may be otherwise after a reboot."""

    governs: ClassVar[str]
    """What it sets. Of the steps of a run that set the same, the last one counts."""

    @abstractmethod
    def holds(self, undo: U, host: Host) -> bool:
        """Before a cut-off run goes on behind this step, which was done: is that still so? May make it so.

        If not, the run goes on from this step.
        """


AnyStep = Step[Any]
_KINDS: dict[str, type[AnyStep]] = {}
S = TypeVar("S", bound=type[Any])


def register(step_type: S) -> S:
    """Class decorator: make a kind of step known, so that journals with it can be read."""
    known = _KINDS.setdefault(step_type.kind, step_type)
    if known is not step_type:
        raise ValueError(f"two kinds of steps are called {step_type.kind!r}")
    return step_type


_ADAPTERS: dict[type[Any], TypeAdapter[Any]] = {}


def _adapter(some_type: type[Any]) -> TypeAdapter[Any]:
    if some_type not in _ADAPTERS:
        _ADAPTERS[some_type] = TypeAdapter(some_type)
    return _ADAPTERS[some_type]


def dump_step(step: AnyStep) -> dict[str, Any]:
    """`step` as JSON-able data."""
    return {"kind": step.kind} | cast(dict[str, Any], _adapter(type(step)).dump_python(step, mode="json"))


def known_kinds() -> Mapping[str, type[AnyStep]]:
    """Every kind of step that is registered, by its name."""
    return MappingProxyType(_KINDS)


def load_step(body: Mapping[str, Any]) -> AnyStep:
    """The step that `dump_step` wrote.

    Raises:
        IntegrityError: the kind is not known to this program, or its fields are not right.
    """
    fields = dict(body)
    kind = fields.pop("kind", None)
    if kind not in _KINDS:
        raise IntegrityError("step-unknown", f"a step of kind {kind!r} is not known to this program")
    try:
        return cast(AnyStep, _adapter(_KINDS[kind]).validate_python(fields))
    except ValidationError as error:
        raise IntegrityError("step-damaged", f"a step of kind {kind!r} cannot be read", details=str(error)) from error


def dump_undo(step: AnyStep, undo: object) -> dict[str, Any]:
    """Undo data of `step` as JSON-able data."""
    return cast(dict[str, Any], _adapter(step.undo_type).dump_python(undo, mode="json"))


def load_undo(step: AnyStep, body: Mapping[str, Any]) -> Any:
    """The undo data that `dump_undo` wrote.

    Raises:
        IntegrityError: it is not undo data of this kind.
    """
    try:
        return _adapter(step.undo_type).validate_python(dict(body))
    except ValidationError as error:
        raise IntegrityError(
            "undo-damaged", f"undo data of a {step.kind} step cannot be read", details=str(error)
        ) from error
