"""A plan: what a run will do, step by step, as one frozen value. The journal holds it; `--dry-run` shows it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from installer.steps import AnyStep, dump_step, load_step
from payload.digest import Digest, digest_bytes
from payload.errors import IntegrityError
from payload.version import Version, parse_version

Mode = Literal["install", "upgrade", "downgrade", "repair", "rollback", "restore", "prune", "uninstall"]
MODES: tuple[Mode, ...] = get_args(Mode)


@dataclass(frozen=True, slots=True)
class Plan:
    """`run` names the run: its journal, its backups, its log."""

    mode: Mode
    product: str
    version: Version
    run: str
    steps: tuple[AnyStep, ...]

    def to_body(self) -> dict[str, Any]:
        """JSON-able form."""
        return {
            "mode": self.mode,
            "product": self.product,
            "version": str(self.version),
            "run": self.run,
            "steps": [dump_step(step) for step in self.steps],
        }

    @property
    def digest(self) -> Digest:
        """Identity of the plan."""
        return digest_bytes(json.dumps(self.to_body(), sort_keys=True).encode())

    def shown(self) -> dict[str, Any]:
        """`to_body` for people's programs: each step also has `undo`, which says how it would be undone."""
        steps = [dump_step(step) | {"undo": step.undone()} for step in self.steps]
        return self.to_body() | {"steps": steps}

    def lines(self) -> tuple[str, ...]:
        """The plan for people: a line for each step, and an indented one for how it would be undone."""
        return tuple(line for n, step in enumerate(self.steps, 1) for line in _lines(n, step))


def _lines(number: int, step: AnyStep) -> Iterator[str]:
    yield f"{number:2}. {step.describe()} — {step.reason}"
    if undone := step.undone():
        yield f"    undo: {undone}"


def load_plan(body: Mapping[str, Any]) -> Plan:
    """The plan that `Plan.to_body` gave.

    Raises:
        IntegrityError: it is none, or has steps that this program does not know.
    """
    try:
        if body["mode"] not in MODES:
            raise ValueError(f"mode {body['mode']!r}")
        return Plan(
            body["mode"],
            str(body["product"]),
            parse_version(body["version"]),
            str(body["run"]),
            tuple(load_step(step) for step in body["steps"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise IntegrityError("plan-damaged", "a journaled plan cannot be read", details=repr(error)) from error
