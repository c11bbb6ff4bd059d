"""The checked strings that documents are made of: names, paths, requirements, URLs."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated

from packaging.requirements import InvalidRequirement, Requirement
from pydantic import AfterValidator, BeforeValidator, StringConstraints

_NAME_MAX = 255


def _relative(value: str) -> str:
    path = PurePosixPath(value)
    if path.is_absolute() or ".." in path.parts or value != str(path) or value == ".":
        raise ValueError(f"{value!r} must be a plain relative path: no '..', no leading '/', no './', no empty part")
    if "\\" in value or not value.isprintable():
        raise ValueError(f"{value!r} has a backslash or a letter that cannot be printed")
    if any(len(part.encode()) > _NAME_MAX for part in path.parts):
        raise ValueError(f"{value!r} has a part of more than {_NAME_MAX} bytes, which no file system takes")
    return value


def _requirement(value: str) -> str:
    if value.startswith(("./", "../")) or value == ".":
        return value
    try:
        Requirement(value)
    except InvalidRequirement as error:
        raise ValueError(f"{value!r} is neither a path starting with ./ or ../ nor a requirement: {error}") from error
    return value


def _number_as_text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9-]{0,30}$")]
"""Safe as a file name, a user name and part of a unit name."""
RelativePath = Annotated[str, StringConstraints(min_length=1, max_length=1024), AfterValidator(_relative)]
DottedKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$")]
"""A key of a TOML file, below the tables before its dots."""
PythonRequirement = Annotated[str, AfterValidator(_requirement)]
"""A PEP 508 requirement, or the path (starting with ./ or ../) of a Python project."""
RpmRequirement = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9/][A-Za-z0-9._+/()-]*( (<|<=|=|>=|>) [A-Za-z0-9:._+~^-]+)?$")
]
"""An RPM capability, as in a spec file's Requires: `NAME` or `NAME >= EVR`."""
PackagePattern = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9*?][A-Za-z0-9._+*?:~^-]*$")]
"""A package's name, name.arch or NEVRA, with the wildcards * and ?."""
ModuleStream = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*:[A-Za-z0-9._+-]+$")]
"""`NAME:STREAM`."""
SysctlKey = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+([.][A-Za-z0-9_/-]+)+$")]
"""A kernel setting, such as `net.ipv4.ip_forward`; a dot in a name is written `/`."""
TextOrNumber = Annotated[str, StringConstraints(pattern=r"^[^\x00-\x1f\x7f]{1,200}$"), BeforeValidator(_number_as_text)]
"""A text, or a whole number."""
FileMode = Annotated[str, StringConstraints(pattern=r"^0[0-7]{3}$")]
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
Url = Annotated[str, StringConstraints(pattern=r"^(https?|file)://[^\s]+$")]
UpstreamUrl = Annotated[str, StringConstraints(pattern=r"^((https?|file)://|\.\.?/)[^\s]+$")]
"""A URL, or the path (starting with ./ or ../) of a folder that has repodata/."""
LibcVersion = Annotated[str, StringConstraints(pattern=r"^2\.[0-9]{1,3}$")]
"""A glibc, such as `2.17`."""
AnswerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
