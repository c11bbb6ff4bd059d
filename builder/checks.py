"""Checks of a manifest that no single value shows: files, duplicates, names that refer to others, ranges.

They read the raw document, so that they find their mistakes even where others keep it from becoming a `Manifest`;
values of a wrong type are left to the model.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from packaging.specifiers import SpecifierSet
from packaging.version import Version

from builder.positions import TomlPath, show_path
from builder.problems import Problem
from builder.product_templates import template_problems
from builder.raw import select, texts
from builder.targets import lowest_python
from payload.errors import InputError
from payload.fields import parse_range
from payload.trust import PublicKey
from payload.version import parse_version

_UNIQUE: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("agent", ("agents", "*", "name")),
    ("image", ("images", "*", "name")),
    ("answer", ("answers", "*", "name")),
    ("configuration path", ("server", "config", "*", "path")),
    ("command", ("server", "commands", "*")),
    ("upstream", ("repository", "upstreams", "*", "id")),
    ("package", ("repository", "packages", "*")),
    ("SSH key path", ("ssh-keys", "*", "path")),
    ("port", ("preflight", "ports", "*")),
    ("kernel setting", ("sysctl", "*", "key")),
    ("check", ("preflight", "check", "*", "id")),
)
_FILES: tuple[tuple[str, ...], ...] = (
    ("targets", "*", "baseline"),
    ("baselines", "*"),
    ("repository", "upstreams", "*", "gpg-keys", "*"),
    ("repository", "upstreams", "*", "ca-file"),
    ("repository", "upstreams", "*", "client-cert"),
    ("repository", "upstreams", "*", "client-key"),
    ("server", "units", "*"),
    ("server", "config", "*", "template"),
    ("images", "*", "path"),
    ("runtime", "path"),
    ("trust", "keys", "*"),
)
_PROJECTS: tuple[tuple[str, ...], ...] = (("server", "requirements", "*"), ("agents", "*", "requirement"))
_UNIT_TYPES = (".service", ".socket", ".timer", ".path", ".target", ".mount")


def document_problems(raw: dict[str, Any], folder: Path) -> Iterator[Problem]:
    """Mistakes that every kind of manifest can have: files that are not there, things that are given twice."""
    yield from _missing_files(raw, folder)
    yield from _duplicates(raw)


def cross_document_problems(raw: dict[str, Any], folder: Path) -> Iterator[Problem]:
    """Every mistake of the manifest `raw` in `folder` that its schema does not show."""
    yield from document_problems(raw, folder)
    yield from _references(raw)
    yield from _versions(raw)
    yield from _pythons(raw)
    yield from _trust(raw, folder)
    yield from template_problems(raw, folder)


def _missing_files(raw: dict[str, Any], folder: Path) -> Iterator[Problem]:
    for pattern in _FILES:
        for path, name in texts(raw, *pattern):
            if not (folder / name).is_file():
                yield Problem(path, f"there is no file {name!r} in the manifest's folder")
    for path, url in texts(raw, "repository", "upstreams", "*", "url"):
        if url.startswith(".") and not (folder / url / "repodata/repomd.xml").is_file():
            yield Problem(path, f"{url!r} is not a package repository: it has no repodata/repomd.xml")
    for pattern in _PROJECTS:
        for path, name in texts(raw, *pattern):
            local = name == "." or name.startswith(("./", "../"))
            if local and not any((folder / name / mark).is_file() for mark in ("pyproject.toml", "setup.py")):
                yield Problem(path, f"{name!r} is not a Python project: it has no pyproject.toml")


def _duplicates(raw: dict[str, Any]) -> Iterator[Problem]:
    for what, pattern in _UNIQUE:
        yield from _repeated(what, [(path, str(value)) for path, value in select(raw, *pattern)])
    units = [(path, unit_name(name)) for path, name in texts(raw, "server", "units", "*")]
    yield from _repeated("unit", units)
    for path, name in units:
        if not name.endswith(_UNIT_TYPES):
            yield Problem(
                path, f"{name!r} is not the name of a systemd unit: it ends in none of {', '.join(_UNIT_TYPES)}"
            )
    # In a bundle, the templates of configuration files share one folder.
    templates: dict[str, str] = {}
    for path, name in texts(raw, "server", "config", "*", "template"):
        other = templates.setdefault(PurePosixPath(name).name.removesuffix(".j2"), name)
        if other != name:
            yield Problem(path, f"two templates have the same file name: {other!r} and {name!r}")


def unit_name(template: str) -> str:
    """The name of the unit that the template at that path makes."""
    return PurePosixPath(template).name.removesuffix(".j2")


def _repeated(what: str, values: list[tuple[TomlPath, str]]) -> Iterator[Problem]:
    first: dict[str, TomlPath] = {}
    for path, value in values:
        if value in first:
            yield Problem(path, f"{what} {value!r} is given twice: see {show_path(first[value])}")
        first.setdefault(value, path)


def _references(raw: dict[str, Any]) -> Iterator[Problem]:
    upstreams = {name for _, name in texts(raw, "repository", "upstreams", "*", "id")}
    for path, name, _ in _items(raw, "mirrors", "*"):
        if name not in upstreams:
            yield Problem(path, f"the manifest has no upstream {name!r}; it has: {_listed(upstreams)}")
    for key in ("rehearse", "downgrade"):
        if any(True for _ in select(raw, "server", key)) and not any(True for _ in select(raw, "server", "database")):
            yield Problem(("server", key), "is about a database: the manifest has no [server.database]")
    answers = {name for _, name in texts(raw, "answers", "*", "name")}
    for path, name in texts(raw, "server", "setup", "*", "stdin"):
        if name not in answers:
            yield Problem(path, f"the manifest has no answer {name!r}; it has: {_listed(answers)}")
    if any(True for _ in select(raw, "repository", "packages", "*")) and not upstreams:
        yield Problem(("repository", "packages"), "packages need at least one [[repository.upstreams]] to come from")


def _trust(raw: dict[str, Any], folder: Path) -> Iterator[Problem]:
    seen: dict[bytes, TomlPath] = {}
    for path, name in texts(raw, "trust", "keys", "*"):
        if not (folder / name).is_file():
            continue
        try:
            key = PublicKey.from_text((folder / name).read_text(encoding="utf-8", errors="replace"), where=repr(name))
        except InputError as error:
            yield Problem(path, error.brief)
            continue
        if key.raw in seen:
            yield Problem(path, f"{name!r} is the same key as {show_path(seen[key.raw])}")
        seen.setdefault(key.raw, path)
    keys = len([*select(raw, "trust", "keys", "*")])
    for path, threshold in select(raw, "trust", "threshold"):
        if isinstance(threshold, int) and threshold > keys:
            yield Problem(path, f"{threshold} of {keys} keys can never have signed")


def _items(raw: dict[str, Any], *pattern: str) -> Iterator[tuple[TomlPath, str, Any]]:
    for path, table in select(raw, *pattern):
        if isinstance(table, dict):
            for key, value in table.items():
                yield (*path, key), key, value


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


def _versions(raw: dict[str, Any]) -> Iterator[Problem]:
    for path, value in select(raw, "product", "version"):
        if not isinstance(value, str):
            yield Problem(path, 'must be a string: TOML reads 1.10 as the number 1.1; write "1.10"')
    own = _read_version(raw)
    if own is None:
        return
    yield from _hops(raw, own)
    for key in ("upgrades-from", "works-beside"):
        if (admitted := _read_range(raw, key)) is None:
            continue
        wrong = [str(probe) for probe in _not_older(own, admitted) if admitted.contains(probe, prereleases=True)]
        if wrong:
            yield Problem(
                ("product", key),
                f"admits {wrong[0]}, which is not older than this product ({own}); end the range with <{own}",
            )


def _hops(raw: dict[str, Any], own: Version) -> Iterator[Problem]:
    for path, value in texts(raw, "product", "upgrade-hops", "*"):
        try:
            hop = parse_version(value)
        except ValueError:
            continue
        if hop >= own:
            yield Problem(path, f"{value} is not older than this product ({own}): no upgrade to it leads past there")


def _pythons(raw: dict[str, Any]) -> Iterator[Problem]:
    bundled = any(value == "bundled" for _, value in texts(raw, "server", "python"))
    if bundled and not any(value == "portable" for _, value in texts(raw, "runtime", "python")):
        yield Problem(("server", "python"), 'the bundle has no Python: give [runtime] python = "portable"')
    for path, table in select(raw, "targets", "*"):
        if isinstance(table, dict) and not bundled and "python" not in table:
            yield Problem((*path, "python"), "is missing")
        elif isinstance(table, dict) and bundled and "python" in table:
            yield Problem((*path, "python"), "no host's Python is used: the bundle brings one (server.python)")
    pythons: dict[str, TomlPath] = {}
    for path, value in texts(raw, "targets", "*", "python"):
        try:
            pythons.setdefault(lowest_python(parse_range(value)), path)
        except ValueError as error:
            yield Problem(path, str(error))
    for python, path in list(pythons.items())[1:]:
        yield Problem(
            path,
            f"starts at Python {python}, but {show_path(next(iter(pythons.values())))} does not: "
            "a bundle carries one set of wheels",
        )


def _read_version(raw: dict[str, Any]) -> Version | None:
    for _, value in texts(raw, "product", "version"):
        try:
            return parse_version(value)
        except ValueError:
            return None
    return None


def _read_range(raw: dict[str, Any], key: str) -> SpecifierSet | None:
    for _, value in texts(raw, "product", key):
        try:
            return parse_range(value)
        except ValueError:
            return None
    return None


def _not_older(own: Version, admitted: SpecifierSet) -> Iterator[Version]:
    """`own` and newer versions around every point where the range may begin or end."""
    yield own
    named = [parse_version(spec.version.removesuffix(".*")) for spec in admitted if spec.operator != "==="]
    for version in sorted({own, *named}):
        yield from (newer for newer in (version, *_bumped(version)) if newer > own)


def _bumped(version: Version) -> Iterator[Version]:
    release = [*version.release, 0, 0][:3]
    for place in (2, 1, 0):
        yield Version(".".join(str(part) for part in [*release[:place], release[place] + 1, *[0] * (2 - place)]))
    yield Version(f"{release[0] + 1000}")
