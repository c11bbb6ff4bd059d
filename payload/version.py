"""Product versions (PEP 440 ordering). The ranges that upgrades start from are in `payload.fields`."""

from __future__ import annotations

from typing import Annotated

from packaging.version import InvalidVersion
from packaging.version import Version as _Version

from payload.strict import Bridge, MalformedError


def parse_version(value: object) -> _Version:
    """Read a version.

    Raises:
        MalformedError: `value` is no PEP 440 version.
    """
    if isinstance(value, _Version):
        return value
    try:
        return _Version(str(value))
    except InvalidVersion as error:
        raise MalformedError(f"{value!r} is not a version such as 1.4.0") from error


Version = Annotated[_Version, Bridge(_Version, parse_version, str)]
