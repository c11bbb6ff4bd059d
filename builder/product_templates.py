"""Checks of the product's own templates: they parse, and use only what a product's template is given."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, meta, nodes

from builder.positions import TomlPath
from builder.problems import Problem
from builder.raw import texts
from templates.render import PRODUCT_VARIABLES

_FILES: tuple[tuple[str, ...], ...] = (("server", "units", "*"), ("server", "config", "*", "template"))
_STRINGS: tuple[tuple[str, ...], ...] = (
    ("server", "migrate", "*"),
    ("server", "rehearse", "*"),
    ("server", "downgrade", "*"),
    ("server", "setup", "*", "command", "*"),
    ("server", "health", "url"),
    ("firewall", "*", "port"),
)
_ENVIRONMENT = Environment(autoescape=False)  # noqa: S701 - only parses; nothing is rendered here


def template_problems(raw: dict[str, Any], folder: Path) -> Iterator[Problem]:
    """Every mistake in the templates that the manifest `raw` in `folder` names or holds."""
    answers = frozenset(name for _, name in texts(raw, "answers", "*", "name"))
    for pattern in _STRINGS:
        for path, source in texts(raw, *pattern):
            yield from (Problem(path, message) for _, message in _mistakes(source, answers))
    for path, source in texts(raw, "preflight", "check", "*", "condition"):
        try:
            _ENVIRONMENT.compile_expression(source)
        except TemplateSyntaxError as error:
            yield Problem(path, f"is no expression: {error.message}")
    for pattern in _FILES:
        for path, name in texts(raw, *pattern):
            if (folder / name).is_file():
                yield from _file_problems(path, folder, name, answers)


def _file_problems(path: TomlPath, folder: Path, name: str, answers: frozenset[str]) -> Iterator[Problem]:
    try:
        source = (folder / name).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        yield Problem(path, f"{name}: is not UTF-8 text")
        return
    for line, message in _mistakes(source, answers):
        yield Problem(path, f"{name}:{line}: {message}")


def _mistakes(source: str, answers: frozenset[str]) -> Iterator[tuple[int, str]]:
    try:
        tree = _ENVIRONMENT.parse(source)
    except TemplateSyntaxError as error:
        yield error.lineno, f"template syntax: {error.message}"
        return
    unknown = meta.find_undeclared_variables(tree) - PRODUCT_VARIABLES
    for name in sorted(unknown):
        line = min((node.lineno for node in tree.find_all(nodes.Name) if node.name == name), default=1)
        yield line, f"undefined variable {name!r}; a product's templates have: {', '.join(sorted(PRODUCT_VARIABLES))}"
    for line, name in sorted(set(_answers_used(tree))):
        if name not in answers:
            yield line, f"the manifest has no answer {name!r}; it has: {', '.join(sorted(answers)) or 'none'}"


def _answers_used(tree: nodes.Template) -> Iterator[tuple[int, str]]:
    """`answers.NAME` and `answers["NAME"]`, but no call such as `answers.items()`."""
    called = {id(call.node) for call in tree.find_all(nodes.Call)}
    for attribute in tree.find_all(nodes.Getattr):
        if _is_answers(attribute.node) and id(attribute) not in called:
            yield attribute.lineno, attribute.attr
    for item in tree.find_all(nodes.Getitem):
        if _is_answers(item.node) and isinstance(item.arg, nodes.Const):
            yield item.lineno, str(item.arg.value)


def _is_answers(node: nodes.Expr) -> bool:
    return isinstance(node, nodes.Name) and node.name == "answers"
