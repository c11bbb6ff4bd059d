"""The checked strings that documents are made of: names, paths, requirements, URLs."""

from __future__ import annotations

from functools import partial
from typing import Annotated

from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from pydantic import AfterValidator, BeforeValidator, PlainSerializer, StringConstraints

from payload.names import LIBC_VERSION, NAME, SHA256, relative_path
from payload.strict import Bridge, document
from payload.trust import PublicKey, Signature, read_public_key, read_signature


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


Name = Annotated[str, NAME]
"""Safe as a file name, a user name and part of a unit name."""
RelativePath = Annotated[str, AfterValidator(relative_path)]
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
Sha256 = Annotated[str, SHA256]
Url = Annotated[str, StringConstraints(pattern=r"^(https?|file)://[^\s]+$")]
UpstreamUrl = Annotated[str, StringConstraints(pattern=r"^((https?|file)://|\.\.?/)[^\s]+$")]
"""A URL, or the path (starting with ./ or ../) of a folder that has repodata/."""
LibcVersion = Annotated[str, LIBC_VERSION]
"""A glibc, such as `2.17`."""
AnswerName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")]
VersionRange = Annotated[SpecifierSet, BeforeValidator(parse_range), PlainSerializer(str)]
KeyLine = Annotated[PublicKey, Bridge(PublicKey, read_public_key, PublicKey.line)]
"""A public key that is its one line of text in a file."""
SignatureTable = Annotated[Signature, Bridge(Signature, read_signature, partial(document, defaults=True))]
