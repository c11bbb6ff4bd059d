"""Rendering. Our own templates are files of this package; a product's templates come with its bundle.

Both are strict: an undefined variable is an error. A product's templates run in Jinja2's sandbox, since they are
rendered by root on the target.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from payload.errors import InputError

_OWN = Environment(
    loader=FileSystemLoader(Path(__file__).parent),
    undefined=StrictUndefined,
    keep_trailing_newline=True,
    trim_blocks=True,
    lstrip_blocks=True,
    autoescape=select_autoescape(("html.j2",), default=False),  # the others are shell, INI and systemd text
)
_PRODUCT = ImmutableSandboxedEnvironment(
    undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
)


@dataclass(frozen=True, slots=True)
class ProductContext:
    """What a product's templates (units, configuration, commands, health URL) can name."""

    product: str
    version: str
    title: str
    prefix: Path
    """`/opt/NAME`, or what `--root` said."""
    current: Path
    """`PREFIX/current`: the release that runs. Units name this."""
    release: Path
    """`PREFIX/releases/VERSION`: this release."""
    venv: Path
    """The server's Python environment of this release."""
    config_dir: Path
    data_dir: Path
    log_dir: Path
    user: str
    database: Path | str
    """The database's file; in `server.rehearse` the copy. Empty if the manifest has none."""
    downgrade_to: str
    """In `server.downgrade` the release to go back to; else this one."""
    answers: Mapping[str, str | int | bool]
    """Non-secret answers by name."""


PRODUCT_VARIABLES = frozenset(field.name for field in fields(ProductContext))


def render(name: str, context: object) -> str:
    """Render one of our own templates from its frozen dataclass.

    Raises:
        jinja2.TemplateError: template and context do not fit; a defect.
    """
    return _OWN.get_template(name).render(_variables(context))


def render_text(source: str, context: ProductContext, *, where: str) -> str:
    """Render a product's template.

    Raises:
        InputError: it is malformed, names an unknown variable, or does what the sandbox forbids.
    """
    try:
        return _PRODUCT.from_string(source).render(_variables(context))
    except TemplateError as error:
        raise InputError(
            "template-invalid",
            f"{where} cannot be rendered",
            details=f"{type(error).__name__}: {error.message}",
            remedy=f"known variables: {', '.join(sorted(PRODUCT_VARIABLES))}",
        ) from error


def holds(expression: str, values: Mapping[str, object], *, where: str) -> bool:
    """Whether a product's expression over `values` is true.

    Raises:
        InputError: it is malformed, names something unknown, compares what cannot be compared, or does what the sandbox
            forbids.
    """
    try:
        return bool(_PRODUCT.compile_expression(expression, undefined_to_none=False)(**values))
    except (TemplateError, TypeError, ArithmeticError) as error:
        raise InputError(
            "condition-invalid",
            f"{where} cannot be decided",
            details=f"{type(error).__name__}: {error}",
            remedy=f"known values: {', '.join(sorted(values))}",
        ) from error


def _variables(context: object) -> dict[str, object]:
    return {field.name: getattr(context, field.name) for field in fields(context)}  # type: ignore[arg-type]
