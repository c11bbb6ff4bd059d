"""Running pip for the target instead of for the machine that builds.

Which index pip asks is pip's own configuration: its files, and the PIP_* variables of the caller's environment.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from builder.targets import PLATFORMS
from payload.effects import run
from payload.errors import CommandError, ResolveError

_CONFIGURATION = ("XDG_CONFIG_HOME", "XDG_CACHE_HOME")


def pip(arguments: Sequence[str | Path], *, python: str, what: str, env: Mapping[str, str] | None = None) -> str:
    """Run pip with the markers of Python `python` (such as `3.11`) and give its output.

    Raises:
        ResolveError: pip failed to do `what`, or there is no such Python here.
    """
    options = ("--disable-pip-version-check", "--no-input", "--no-color", "--quiet")
    try:
        return run([*_command(python), *options, *arguments], env=_configuration() | dict(env or {})).output
    except CommandError as error:
        reasons = [line for line in error.output.splitlines() if line.startswith("ERROR: ")]
        raise ResolveError(
            "wheels-unresolved",
            f"pip could not {what}",
            details="\n".join(reasons) or error.details,
            remedy="correct the requirement; `pip config list` shows which index pip asks",
        ) from error


def target_options(python: str) -> tuple[str, ...]:
    """The options that make pip choose wheels for the target, and nothing but wheels."""
    abi = f"cp{python.replace('.', '')}"
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    abis = ("--abi", abi, "--abi", "abi3", "--abi", "none")
    return ("--only-binary=:all:", "--python-version", python, "--implementation", "cp", *abis, *platforms)


def _command(python: str) -> tuple[str, ...]:
    """pip evaluates environment markers for the Python it runs on, so that must be the target's."""
    own = (sys.executable, "-m", "pip")
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return own
    other = shutil.which(f"python{python}")
    if other is None:
        raise ResolveError(
            "python-missing",
            f"the targets start at Python {python}, and there is no python{python} on this machine",
            details="pip decides about dependencies with conditions (markers) by the Python that it runs on.",
            remedy=f"install python{python} here, or raise `targets.python`",
        )
    return (*own, "--python", other)


def _configuration() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("PIP_") or name in _CONFIGURATION}
