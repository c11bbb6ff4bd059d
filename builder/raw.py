"""Looking into a parsed TOML document that may have any shape."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from builder.positions import TomlPath


def select(raw: object, *pattern: str) -> Iterator[tuple[TomlPath, Any]]:
    """Every value that `pattern` names, with its path. `*` stands for every item of a list or table."""
    yield from _select(raw, (), pattern)


def texts(raw: object, *pattern: str) -> Iterator[tuple[TomlPath, str]]:
    """The strings among what `select` finds."""
    for path, value in select(raw, *pattern):
        if isinstance(value, str):
            yield path, value


def _select(value: object, path: TomlPath, pattern: tuple[str, ...]) -> Iterator[tuple[TomlPath, Any]]:
    if not pattern:
        yield path, value
        return
    key, rest = pattern[0], pattern[1:]
    if key == "*" and isinstance(value, list):
        for index, item in enumerate(value):
            yield from _select(item, (*path, index), rest)
    elif key == "*" and isinstance(value, dict):
        for name, item in value.items():
            yield from _select(item, (*path, name), rest)
    elif isinstance(value, dict) and key in value:
        yield from _select(value[key], (*path, key), rest)
