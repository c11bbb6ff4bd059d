"""Facts of an RPM file, read from its header. Nothing is said about its signature: see `repos.package_signatures`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import rpmfile  # type: ignore[import-untyped]

from payload.errors import IntegrityError
from repos.nevra import Evr, Nevra, Requirement

_SENSE = ((2, "<"), (4, ">"), (8, "="))
_LEAD = b"\xed\xab\xee\xdb"
Chosen = TypeVar("Chosen")


@dataclass(frozen=True, slots=True)
class RpmFacts:
    """What an RPM is, needs and offers."""

    nevra: Nevra
    source: bool
    requires: tuple[Requirement, ...]
    provides: tuple[Requirement, ...]


def read_rpm(path: Path) -> RpmFacts:
    """Read the header of the RPM at `path`.

    Raises:
        IntegrityError: it is no RPM, or its header is damaged.
        OSError: it cannot be read.
    """
    return _read(path, _facts)


def read_license(path: Path) -> str | None:
    """What the RPM at `path` says that its license is.

    Raises:
        IntegrityError, OSError: see `read_rpm`.
    """
    return _read(path, lambda headers: _text(headers["copyright"]) if "copyright" in headers else None)


def read_header_digest(path: Path) -> str | None:
    """The SHA-256 of the header of the RPM at `path`, as its signature header says it and rpm's database keeps it.

    Raises:
        IntegrityError, OSError: see `read_rpm`.
    """
    return _read(path, lambda headers: _text(headers["sha256"]) if "sha256" in headers else None)


def _read(path: Path, choose: Callable[[dict[str, Any]], Chosen]) -> Chosen:
    with path.open("rb") as stream:
        if stream.read(4) != _LEAD:
            raise _damaged(path, "it does not begin as an RPM does")
        stream.seek(0)
        try:
            with rpmfile.open(fileobj=stream) as rpm:
                return choose(rpm.headers)
        # The library answers a damaged header with whatever its parsing ran into; each of these means the same here.
        except Exception as error:
            raise _damaged(path, f"{type(error).__name__}: {error}") from error


def _facts(headers: dict[str, Any]) -> RpmFacts:
    epoch = _many(headers.get("serial", 0))[0]
    nevra = Nevra(
        _text(headers["name"]), int(epoch), _text(headers["version"]), _text(headers["release"]), _text(headers["arch"])
    )
    requires = _dependencies(headers, "requirename", "requireflags", "requireversion")
    provides = _dependencies(headers, "provides", "provideflags", "provideversion")
    return RpmFacts(Nevra.parse(str(nevra)), "sourcerpm" not in headers, requires, provides)


def _dependencies(headers: dict[str, Any], names: str, flags: str, versions: str) -> tuple[Requirement, ...]:
    if names not in headers:
        return ()
    rows = zip(_many(headers[names]), _many(headers[flags]), _many(headers[versions]), strict=True)
    return tuple(_dependency(_text(name), int(flag), _text(version)) for name, flag, version in rows)


def _dependency(name: str, flags: int, version: str) -> Requirement:
    operator = "".join(sign for bit, sign in _SENSE if flags & bit)
    if not operator or not version:
        return Requirement(name)
    return Requirement(name, operator, Evr.parse(version))


def _many(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list | tuple) else [value]


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _damaged(path: Path, why: str) -> IntegrityError:
    return IntegrityError("bad-rpm", f"{path} is not a whole RPM package", details=why, remedy="Fetch it again.")
