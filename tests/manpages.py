"""Manual pages of the commands, from the commands themselves: `python -m tests.manpages FOLDER`.

docutils writes the pages: its tree is filled here, so that no text needs to be escaped.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from docutils import nodes
from docutils.core import publish_from_doctree
from docutils.utils import new_document

from builder.cli import app as builder_app
from installer.control_cli import control_app

_AS_IT_STANDS = "\b\n"
"""How a help text marks a paragraph whose lines stay as they are."""


@dataclass(frozen=True, slots=True)
class Page:
    """A manual page to be; `command` is a typer command, with or without others below it."""

    name: str
    section: int
    about: str
    command: Any

    @property
    def file_name(self) -> str:
        """As man looks for it."""
        return f"{self.name}.{self.section}"


PAGES = (
    Page("sealift", 1, "make, prove and sign self-extracting installers", typer.main.get_command(builder_app)),
    Page("NAME-ctl", 8, "look after an installed product", typer.main.get_command(control_app("NAME"))),
)
"""`NAME-ctl` is called after its product."""


def roff(page: Page) -> str:
    """The page, for `man`. The same commands give the same text."""
    document = new_document(page.name)
    document += nodes.title(text=page.name)
    document += nodes.subtitle(text=page.about)
    field = nodes.field("", nodes.field_name(text="manual_section"), nodes.field_body("", _line(str(page.section))))
    document += nodes.docinfo("", field)
    for section in _sections(page.command, page.name):
        document += section
    settings = {"output_encoding": "unicode", "datestamp": None, "generator": False, "source_link": False}
    return str(publish_from_doctree(document, writer="manpage", settings_overrides=settings))


def write(folder: Path) -> None:
    """Write all pages into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for page in PAGES:
        (folder / page.file_name).write_text(roff(page), encoding="utf-8")


def _sections(command: Any, name: str, above: Any = None) -> Iterator[nodes.section]:
    context = command.context_class(command, info_name=name if above is None else command.name, parent=above)
    usage = " ".join((name, *command.collect_usage_pieces(context)))
    section = nodes.section("", nodes.title(text="Synopsis" if above is None else name), _line(usage))
    section.extend(_paragraphs(command.help or ""))
    records = [found for each in command.params if (found := each.get_help_record(context)) is not None]
    if records:
        section += nodes.option_list("", *(_option(*record) for record in records))
    yield section
    for each in getattr(command, "commands", {}).values():
        if not each.hidden:
            yield from _sections(each, f"{name} {each.name}", context)


def _option(spelled: str, about: str) -> nodes.option_list_item:
    group = nodes.option_group("", nodes.option("", nodes.option_string(text=spelled)))
    return nodes.option_list_item("", group, nodes.description("", _line(about)))


def _paragraphs(text: str) -> Iterator[nodes.Element]:
    for paragraph in inspect.cleandoc(text).split("\n\n"):
        if paragraph.startswith(_AS_IT_STANDS):
            lines = paragraph.removeprefix(_AS_IT_STANDS)
            yield nodes.literal_block(lines, lines)
        elif paragraph.strip():
            yield _line(" ".join(paragraph.split()))


def _line(text: str) -> nodes.paragraph:
    return nodes.paragraph(text=text)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
