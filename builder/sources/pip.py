"""Running pip for the target instead of for the machine that builds.

Which index pip asks is pip's own configuration: its files, and the PIP_* variables of the caller's environment.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from payload.effects import run
from payload.errors import CommandError, ResolveError

_CONFIGURATION = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME")


def pip(
    arguments: Sequence[str | Path], *, what: str, interpreter: Path | None = None, env: Mapping[str, str] | None = None
) -> str:
    """Run pip, as `interpreter` if one is given, and give its output.

    Raises:
        ResolveError: pip failed to do `what`.
    """
    run_by = () if interpreter is None else ("--python", interpreter)
    options = ("--disable-pip-version-check", "--no-input", "--no-color", "--quiet")
    command = [sys.executable, "-m", "pip", *run_by, *options, *arguments]
    try:
        return run(command, env=_configuration() | dict(env or {})).output
    except CommandError as error:
        reasons = [line for line in error.output.splitlines() if line.startswith("ERROR: ")]
        raise ResolveError(
            "wheels-unresolved",
            f"pip could not {what}",
            details="\n".join(reasons) or error.details,
            remedy="correct the requirement; `pip config list` shows which index pip asks",
        ) from error


def _configuration() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name in _CONFIGURATION}
