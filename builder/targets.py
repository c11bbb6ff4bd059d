"""What the manifest's targets mean for wheels: the Python they must fit, and the platforms they may name."""

from __future__ import annotations

from packaging.specifiers import SpecifierSet

from payload.model import Manifest

PLATFORMS = (
    "manylinux_2_28_x86_64",
    "manylinux_2_27_x86_64",
    "manylinux_2_26_x86_64",
    "manylinux_2_24_x86_64",
    "manylinux_2_17_x86_64",
    "manylinux2014_x86_64",
    "manylinux_2_12_x86_64",
    "manylinux2010_x86_64",
    "manylinux_2_5_x86_64",
    "manylinux1_x86_64",
)
"""glibc 2.28 is what EL 8 has, the oldest family with a packaged Python 3.11; newer wheels would not load there."""

_MINORS = range(6, 40)


def lowest_python(admitted: SpecifierSet) -> str:
    """The lowest Python 3 minor, such as `3.11`, of which `admitted` takes some release.

    Raises:
        ValueError: it takes none.
    """
    for minor in _MINORS:
        if any(admitted.contains(f"3.{minor}.{patch}") for patch in range(40)):
            return f"3.{minor}"
    raise ValueError(f"{admitted} admits no Python 3 from 3.{_MINORS[0]} on")


def python_of(manifest: Manifest) -> str:
    """The Python minor that the wheels of the bundle are chosen for: all targets start at the same."""
    return lowest_python(manifest.targets[0].python)
