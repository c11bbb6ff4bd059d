"""Checks of the host's Python; none where the bundle brings its own."""

from __future__ import annotations

from collections.abc import Iterator

from packaging.tags import compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename
from packaging.version import Version

from installer.preflight.model import Misfit, Subject

_MEDIA = "install a fitting python3 from the system's media"


def python(subject: Subject) -> Iterator[Misfit]:
    """In the range of a target that has this system."""
    if subject.offer.manifest.brings_python:
        return
    system, targets = subject.facts.system, subject.offer.manifest.targets
    known = {system.os_id, *system.os_like}
    of_os = [each for each in targets if known & set(each.os)]
    ranges = [each.python for each in of_os or targets if each.python]
    wanted = " or ".join(map(str, ranges))
    if system.python is None:
        yield Misfit("no python3", wanted, _MEDIA)
    elif not any(each.contains(Version(system.python), prereleases=True) for each in ranges):
        yield Misfit(f"python3 is {system.python}", wanted, _MEDIA)


def python_wheels(subject: Subject) -> Iterator[Misfit]:
    """Compiled wheels are made for one minor release of Python, which the builder chose."""
    python = subject.facts.system.python
    if python is None or subject.offer.manifest.brings_python:
        return
    major, minor = Version(python).release[:2]
    unfit = [name for name in subject.offer.wheels if not _runs(name, (major, minor))]
    if unfit:
        made_for = sorted({tag.interpreter for name in unfit for tag in parse_wheel_filename(name)[3]})
        yield Misfit(
            f"python3 is {python}",
            f"the Python that the wheels of this bundle are made for: {', '.join(made_for)} ({', '.join(unfit)})",
            f"use a host with that Python, or get a bundle made for Python {major}.{minor}",
        )


def _runs(wheel: str, python: tuple[int, int]) -> bool:
    """Interpreter and ABI of the wheel are those of `python`; the platform is the target's affair."""
    interpreter = f"cp{python[0]}{python[1]}"
    known = {*cpython_tags(python, platforms=("any",)), *compatible_tags(python, interpreter, ("any",))}
    fitting = {(tag.interpreter, tag.abi) for tag in known}
    return any((tag.interpreter, tag.abi) in fitting for tag in parse_wheel_filename(wheel)[3])


def python_venv(subject: Subject) -> Iterator[Misfit]:
    """Some systems ship python3 without its venv module."""
    system = subject.facts.system
    if not subject.offer.manifest.brings_python and system.python is not None and not system.python_venv:
        yield Misfit("python3 has no module venv", "python3 -m venv works", "install python3-venv")
