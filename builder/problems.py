"""The mistakes of one manifest, each with its path and line, and the one error that lists them all."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from builder.positions import Positions, TomlPath, show_path
from payload.errors import InputError


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: where it is, and what to do about it."""

    path: TomlPath
    message: str


def invalid(name: str, where: Positions, problems: Iterable[Problem]) -> InputError:
    """The error that lists `problems` of the manifest `name`, in the order of their lines."""
    rows = sorted({(where.line(problem.path), show_path(problem.path), problem.message) for problem in problems})
    lines = [f"{name}:{line}: {path or 'manifest'}: {message}" for line, path, message in rows]
    count = f"{len(lines)} mistakes" if len(lines) > 1 else "a mistake"
    return InputError(
        "manifest-invalid",
        f"{name} has {count}",
        details="\n".join(lines),
        remedy="correct the lines above; docs/manifest.md explains every key",
    )
