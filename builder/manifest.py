"""Reading `bundle.toml`: every mistake at once, each with its path and its line."""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from builder.checks import cross_document_problems, document_problems
from builder.positions import Positions, TomlPath, positions
from builder.problems import Problem, invalid
from payload.digest import Digest, digest_bytes
from payload.document import Document
from payload.errors import InputError
from payload.manifest import Manifest

_SYNTAX = re.compile(r"^(?P<what>.*) \(at (?:line (?P<line>\d+), column \d+|end of document)\)$")
_TYPES = {
    "string_type": "must be a string",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
    "tuple_type": "must be a list",
    "dict_type": "must be a table",
    "model_type": "must be a table",
    "missing": "is missing",
}
_NAME = "must be at most 31 lower-case letters, digits and '-', and start with a letter"
_PATTERNS = {
    "title": "must be one line of at most 100 characters",
    "packages": "must be NAME, or NAME >= VERSION, as in a spec file's Requires",
    "name": _NAME,
    "id": _NAME,
    "user": _NAME,
    "stdin": "must be lower-case letters, digits and '_', and start with a letter",
    "url": "must be an http, https or file URL; an upstream may also be a folder, written ./… or ../…",
    "mode": "must be four octal digits such as 0640",
    "mirrorlist": "must be an http, https or file URL",
    "metalink": "must be an http, https or file URL",
    "proxy": "must be an http or https URL",
    "exclude": "must be a package's name, name.arch or NEVRA; * and ? are wildcards",
    "modules": "must be NAME:STREAM",
    "sha256": "must be 64 lower-case hex digits",
    "key": "must be the name of a kernel setting, such as net.ipv4.ip_forward",
    "value": "must be one line of at most 200 characters",
    "port": "must be a port's number, or a template of one",
}
"""What a value must look like, by its key."""


Kind = TypeVar("Kind", bound=Document)
_Check = Callable[[dict[str, Any], Path], Iterable[Problem]]


@dataclass(frozen=True, slots=True)
class LoadedManifest:
    """A manifest without mistakes, and the file it came from."""

    manifest: Manifest
    path: Path
    digest: Digest
    """Of the file's bytes: the lock names it."""

    @property
    def folder(self) -> Path:
        """What the manifest's paths are relative to."""
        return self.path.parent


def load_manifest(path: Path) -> LoadedManifest:
    """Read and check the manifest at `path`, with the files that it names.

    Raises:
        InputError: `manifest-missing`, or `manifest-invalid` with every mistake in the order of the lines.
    """
    path = path.absolute()
    source = _read(path)
    return LoadedManifest(_load(path, source, Manifest, cross_document_problems), path, digest_bytes(source))


def load_document(path: Path, model: type[Kind]) -> Kind:
    """Read and check a manifest of another kind, with the files that it names.

    Raises:
        InputError: as with `load_manifest`.
    """
    path = path.absolute()
    return _load(path, _read(path), model, document_problems)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(
            "manifest-missing", f"{path} cannot be read: {error.strerror}", remedy="name a manifest, a TOML file"
        ) from error


def _load(path: Path, source: bytes, model: type[Kind], check: _Check) -> Kind:
    raw = _parse(path.name, source)
    where = positions(source)
    document, problems = _validate(raw, where, model)
    problems += list(check(raw, path.parent))
    if document is None or problems:
        raise invalid(path.name, where, problems)
    return document


def _parse(name: str, source: bytes) -> dict[str, Any]:
    try:
        return tomllib.loads(source.decode())
    except UnicodeDecodeError as error:
        line, what = source[: error.start].count(b"\n") + 1, "not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX.match(str(error))
        line = int(found["line"] or 0) if found else 0
        line = line or max(1, len(source.splitlines()))
        what = f"not valid TOML: {found['what'] if found else error}"
    raise invalid(name, Positions({("syntax",): line}), [Problem(("syntax",), what)])


def _validate(raw: dict[str, Any], where: Positions, model: type[Kind]) -> tuple[Kind | None, list[Problem]]:
    try:
        # Keys are spelled one way on disk: by their alias, in kebab-case.
        return model.model_validate(raw, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, list(_problems(error, where, model))


def _problems(error: ValidationError, where: Positions, model: type[BaseModel]) -> Iterator[Problem]:
    messages: dict[TomlPath, list[str]] = {}
    for item in error.errors(include_url=False):
        location = item["loc"]
        known = where.known(location)
        # pydantic appends the member of a union, or "[key]": the document has no such path.
        path = location if item["type"] == "missing" and len(location) == len(known) + 1 else known
        messages.setdefault(path, []).append(_message(item, path, model))
    for path, several in messages.items():
        yield Problem(path, ", or ".join(dict.fromkeys(several)))


def _message(item: ErrorDetails, path: TomlPath, model: type[BaseModel]) -> str:
    kind = item["type"]
    if kind == "extra_forbidden":
        return _unknown(path, model)
    if kind == "string_pattern_mismatch":
        key = next((part for part in reversed(path) if isinstance(part, str)), "")
        return f"{item['input']!r} {_PATTERNS.get(key, item['msg'])}"
    return _TYPES.get(kind) or item["msg"].removeprefix("Value error, ").splitlines()[0]


def _unknown(path: TomlPath, model: type[BaseModel]) -> str:
    keys = sorted(_keys_at(path[:-1], model))
    close = difflib.get_close_matches(str(path[-1]), keys, n=1)
    return f"unknown key; did you mean '{close[0]}'?" if close else f"unknown key; known here: {', '.join(keys)}"


def _keys_at(path: TomlPath, model: type[BaseModel]) -> set[str]:
    """The keys that the model allows in the table at `path`."""
    for part in path:
        if isinstance(part, str):
            by_alias = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
            inner = next(_models(by_alias.get(part)), None)
            model = inner or model
    return {field.alias or name for name, field in model.model_fields.items()}


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models inside an annotation such as `tuple[Agent, ...]` or `Database | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)
