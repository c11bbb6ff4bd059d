"""Where the keys and values of a TOML document stand: their lines."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass

import tree_sitter_toml
from tree_sitter import Language, Node, Parser

TomlPath = tuple[str | int, ...]
"""Keys and list indexes from the document's root."""

_LANGUAGE = Language(tree_sitter_toml.language())
_KEYS = ("bare_key", "quoted_key", "dotted_key")


@dataclass(frozen=True, slots=True)
class Positions:
    """The line (from 1) of every path of a document."""

    lines: dict[TomlPath, int]

    def line(self, path: TomlPath) -> int:
        """The line of `path`, or of its nearest ancestor that the document has; 1 for the document itself."""
        for end in range(len(path), 0, -1):
            if path[:end] in self.lines:
                return self.lines[path[:end]]
        return 1

    def known(self, path: TomlPath) -> TomlPath:
        """The longest start of `path` that the document has."""
        return next((path[:end] for end in range(len(path), 0, -1) if path[:end] in self.lines), ())


def positions(source: bytes) -> Positions:
    """The positions in `source`, which is well-formed TOML."""
    walk = _Walk({}, {})
    for node in Parser(_LANGUAGE).parse(source).root_node.named_children:
        if node.type == "pair":
            walk.pair(node, ())
        elif node.type in ("table", "table_array_element"):
            walk.table(node)
    return Positions(walk.lines)


def show_path(path: TomlPath) -> str:
    """`path` as people write it: `agents[1].name`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


@dataclass(frozen=True, slots=True)
class _Walk:
    lines: dict[TomlPath, int]
    lengths: dict[TomlPath, int]
    """How many tables each array of tables has so far."""

    def table(self, node: Node) -> None:
        header = next(child for child in node.named_children if child.type in _KEYS)
        keys = _keys(header)
        parent = self._through_arrays(keys[:-1])
        here: TomlPath = (*parent, keys[-1])
        if node.type == "table_array_element":
            self._mark(here, node)
            index = self.lengths.get(here, 0)
            self.lengths[here] = index + 1
            here = (*here, index)
        else:
            here = self._through_arrays(keys)
        self._mark(here, node)
        for child in node.named_children:
            if child.type == "pair":
                self.pair(child, here)

    def pair(self, node: Node, base: TomlPath) -> None:
        key, value = (child for child in node.named_children if child.type != "comment")
        path = base
        for part in _keys(key):
            path = (*path, part)
            self._mark(path, node)
        self._value(value, path)

    def _value(self, node: Node, path: TomlPath) -> None:
        children = [child for child in node.named_children if child.type != "comment"]
        if node.type == "inline_table":
            for child in children:
                self.pair(child, path)
        elif node.type == "array":
            for index, child in enumerate(children):
                self._mark((*path, index), child)
                self._value(child, (*path, index))

    def _through_arrays(self, keys: tuple[str, ...]) -> TomlPath:
        """The path of a header's keys: where a key names an array of tables, its last table is meant."""
        path: TomlPath = ()
        for key in keys:
            path = (*path, key)
            if path in self.lengths:
                path = (*path, self.lengths[path] - 1)
        return path

    def _mark(self, path: TomlPath, node: Node) -> None:
        for end in range(1, len(path) + 1):
            self.lines.setdefault(path[:end], node.start_point.row + 1)


def _keys(node: Node) -> tuple[str, ...]:
    if node.type == "dotted_key":
        return tuple(key for child in node.named_children for key in _keys(child))
    text = (node.text or b"").decode()
    if node.type == "quoted_key":
        return (next(iter(tomllib.loads(f"{text} = 0"))),)
    return (text,)
