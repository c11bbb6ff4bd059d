"""Product versions and the ranges that upgrades start from (PEP 440 ordering and specifiers)."""

from __future__ import annotations

from typing import Annotated

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion
from packaging.version import Version as _Version
from pydantic import BeforeValidator, PlainSerializer, WithJsonSchema


def parse_version(value: object) -> _Version:
    """Read a version.

    Raises:
        ValueError: `value` is no PEP 440 version.
    """
    if isinstance(value, _Version):
        return value
    try:
        return _Version(str(value))
    except InvalidVersion as error:
        raise ValueError(f"{value!r} is not a version such as 1.4.0") from error


def parse_range(value: object) -> SpecifierSet:
    """Read a range such as `>=1.0,<2`.

    Raises:
        ValueError: `value` is no PEP 440 specifier set.
    """
    if isinstance(value, SpecifierSet):
        return value
    try:
        return SpecifierSet(str(value))
    except InvalidSpecifier as error:
        raise ValueError(f"{value!r} is not a range such as >=1.0,<2") from error


Version = Annotated[_Version, BeforeValidator(parse_version), PlainSerializer(str), WithJsonSchema({"type": "string"})]
VersionRange = Annotated[
    SpecifierSet, BeforeValidator(parse_range), PlainSerializer(str), WithJsonSchema({"type": "string"})
]
