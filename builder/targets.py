"""What the manifest's targets mean for wheels: the Python they must fit, and the platforms they may name."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from packaging.specifiers import SpecifierSet

from builder.libc import minor
from builder.tarball import unpacked
from payload.errors import ResolveError
from payload.lock import LockedPython
from payload.manifest import Manifest
from payload.model import PYTHON_FOLDER
from payload.store import Store

_HOST_LIBC = "2.28"
"""What EL 8 has, the oldest family with a packaged Python 3.11; newer wheels would not load there."""
_OLD_NAMES = {17: "manylinux2014_x86_64", 12: "manylinux2010_x86_64", 5: "manylinux1_x86_64"}
_MINORS = range(6, 40)


@dataclass(frozen=True, slots=True)
class WheelTarget:
    """What wheels are chosen for: a Python such as `3.11` and the oldest glibc. `interpreter` is such a Python, which
    runs pip to decide about environment markers; None: the one that runs this."""

    python: str
    libc: str
    interpreter: Path | None

    @property
    def platforms(self) -> tuple[str, ...]:
        """The platform tags that fit, the newest first."""
        names = ((f"manylinux_2_{each}_x86_64", _OLD_NAMES.get(each)) for each in range(minor(self.libc), 4, -1))
        return tuple(name for pair in names for name in pair if name)

    @property
    def options(self) -> tuple[str, ...]:
        """The options that make pip choose wheels for this target, and nothing but wheels."""
        platforms = [word for platform in self.platforms for word in ("--platform", platform)]
        abis = ("--abi", f"cp{self.python.replace('.', '')}", "--abi", "abi3", "--abi", "none")
        return ("--only-binary=:all:", "--python-version", self.python, "--implementation", "cp", *abis, *platforms)


@contextmanager
def wheel_target(manifest: Manifest, python: LockedPython | None, store: Store) -> Iterator[WheelTarget]:
    """The target of the product's wheels: the Python in the bundle, or the lowest one of its hosts.

    Raises:
        ResolveError: this machine has no such Python.
    """
    if not manifest.brings_python or python is None:
        yield _host_target(manifest)
        return
    with unpacked(store.path(python.digest)) as folder:
        yield portable_target(python, folder / PYTHON_FOLDER / "bin/python3")


def portable_target(python: LockedPython, program: Path) -> WheelTarget:
    """The target that is the portable Python itself, which lies unpacked with `program` in it."""
    return WheelTarget(".".join(str(part) for part in python.version.release[:2]), python.libc, program)


def lowest_python(admitted: SpecifierSet) -> str:
    """The lowest Python 3 minor, such as `3.11`, of which `admitted` takes some release.

    Raises:
        ValueError: it takes none.
    """
    for each in _MINORS:
        if any(admitted.contains(f"3.{each}.{patch}") for patch in range(40)):
            return f"3.{each}"
    raise ValueError(f"{admitted} admits no Python 3 from 3.{_MINORS[0]} on")


def _host_target(manifest: Manifest) -> WheelTarget:
    """All targets start at the same Python: the manifest's checks see to it."""
    python = lowest_python(manifest.targets[0].python or SpecifierSet())
    if python == f"{sys.version_info.major}.{sys.version_info.minor}":
        return WheelTarget(python, _HOST_LIBC, None)
    other = shutil.which(f"python{python}")
    if other is None:
        raise ResolveError(
            "python-missing",
            f"the targets start at Python {python}, and there is no python{python} on this machine",
            details="pip decides about dependencies with conditions (markers) by the Python that it runs on.",
            remedy=f"install python{python} here, or raise `targets.python`",
        )
    return WheelTarget(python, _HOST_LIBC, Path(other))
