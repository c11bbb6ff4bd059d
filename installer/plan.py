"""A plan: what a run will do, step by step, as one frozen value. The journal holds it; `--dry-run` shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
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

    def lines(self) -> tuple[str, ...]:
        """The plan for people, one line a step."""
        return tuple(f"{n:2}. {step.describe()} — {step.reason}" for n, step in enumerate(self.steps, 1))


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
