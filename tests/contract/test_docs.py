"""The documentation says what the code does: keys, defaults, options, examples, links."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import pytest
import typer
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from builder.cli import app as builder_app
from builder.manifest import load_manifest
from installer.cli import bundle_app
from installer.control_cli import control_app
from installer.facts.model import Facts, FileSystem
from payload.manifest import Manifest
from payload.requirements import KNOWN_CHECKS
from payload.signing import PrivateKey
from templates.render import PRODUCT_VARIABLES
from tests.e2e.faults import FAULTS
from tests.paths import CHECKOUT

DOCS = CHECKOUT / "docs"
PAGES = sorted({CHECKOUT / "README.md", *DOCS.rglob("*.md")})
_FENCE = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


# --- docs/manifest.md -------------------------------------------------------------------------------------------------


def tables(model: type[BaseModel] = Manifest, name: str = "") -> Iterator[tuple[str, type[BaseModel]]]:
    """The tables of a manifest: the heading of each, as TOML writes it, and its model."""
    for field in model.model_fields.values():
        full = f"{name}.{field.alias}".lstrip(".")
        inner = model_in(field.annotation)
        if inner is not None:
            many = get_origin(field.annotation) is tuple
            yield f"[[{full}]]" if many else f"[{full}]", inner
            yield from tables(inner, full)


def model_in(annotation: Any) -> type[BaseModel] | None:
    """The model in `Model`, `Model | None` or `tuple[Model, ...]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in {tuple, Union, types.UnionType}:
        return next((found for each in get_args(annotation) if (found := model_in(each))), None)
    return None


def default_of(field: FieldInfo) -> str:
    """The default as the documentation writes it."""
    if field.is_required():
        return "required"
    if field.default is None or isinstance(field.default, BaseModel):
        return "none"
    if field.default == {}:
        return "`{}`"
    words = {True: "true", False: "false"} if isinstance(field.default, bool) else {(): "[]"}
    return f"`{words.get(field.default, field.default)}`"


def section(page: str, heading: str) -> str:
    """The text below a heading of docs/`page`."""
    found = re.search(rf"^## `?{re.escape(heading)}`?\n(.*?)(?=^## |\Z)", (DOCS / page).read_text(), re.M | re.S)
    assert found, f"docs/{page} has no section {heading}"
    return found[1]


def rows(text: str) -> dict[str, tuple[str, ...]]:
    """The rows of the tables in `text`: the code in the first cell, and the other cells."""
    found = re.findall(r"^\| `([^`]+)`[^|]* \|(.*)\|$", text, re.MULTILINE)
    return {key: tuple(cell.strip() for cell in rest.split(" | ")) for key, rest in found}


@pytest.mark.parametrize(("heading", "model"), tables(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_key_and_its_default_is_explained(heading: str, model: type[BaseModel]) -> None:
    shown = {key: cells[1] for key, cells in rows(section("manifest.md", heading)).items()}
    assert shown == {str(field.alias): default_of(field) for field in model.model_fields.values()}


@pytest.mark.parametrize(("heading", "model"), tables(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_choice_is_explained(heading: str, model: type[BaseModel]) -> None:
    shown = rows(section("manifest.md", heading))
    for field in model.model_fields.values():
        if get_origin(field.annotation) is Literal:
            for choice in get_args(field.annotation):
                assert f"`{choice}`" in " ".join(shown[str(field.alias)]), f"{heading} {field.alias}: {choice}"


def test_every_template_variable_is_explained() -> None:
    assert set(rows(section("manifest.md", "Template variables"))) == PRODUCT_VARIABLES


def test_the_examples_are_one_manifest_that_uses_every_key(tmp_path: Path) -> None:
    source = "\n".join(text for kind, text in _FENCE.findall((DOCS / "manifest.md").read_text()) if kind == "toml")
    for name in ("el9-minimal.txt", "keys/RPM-GPG-KEY-example", "keys/RPM-GPG-KEY-extra", "keys/ca.pem",
                 "keys/builder.pem", "keys/builder.key", "pyproject.toml", "agents/probe/pyproject.toml",
                 "units/shop.service.j2", "config/shop.toml.j2", "images/till.qcow2"):  # fmt: skip
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    for name in ("alice", "bob", "carol"):
        (tmp_path / f"keys/{name}.pub").write_text(PrivateKey.generate(name).public.to_text())
    (unit,) = [text for kind, text in _FENCE.findall((DOCS / "manifest.md").read_text()) if kind == "ini"]
    (tmp_path / "units/shop.service.j2").write_text(unit)
    (tmp_path / "bundle.toml").write_text(source)
    manifest = load_manifest(tmp_path / "bundle.toml").manifest
    used = set(re.findall(r"^\[+([^\]]+)\]+$|^([a-z0-9-]+) = ", source, re.MULTILINE))
    words = {word for pair in used for name in pair for word in name.split(".")}
    for _, model in tables():
        missing = {str(field.alias) for field in model.model_fields.values()} - words
        assert not missing, f"no example of {missing}"
    assert manifest.product.name == "shop"


# --- docs/preflight.md ------------------------------------------------------------------------------------------------


def test_every_check_is_listed_as_it_is() -> None:
    shown = rows(section("preflight.md", "All checks"))
    assert list(shown.items()) == [(name, (check.level, check.about)) for name, check in KNOWN_CHECKS.items()]


def test_every_fact_that_a_condition_can_name_is_listed() -> None:
    shown = rows(section("preflight.md", "What a product asks"))
    kinds = get_type_hints(Facts)
    assert list(shown) == [field.name for field in fields(Facts)]
    for name, (parts,) in shown.items():
        kind = FileSystem if name == "file_systems" else kinds[name]
        if is_dataclass(kind):
            assert set(re.findall(r"`([a-z0-9_]+)`", parts)) == {field.name for field in fields(kind)}


# --- docs/faults.md ---------------------------------------------------------------------------------------------------


def test_every_fault_is_listed_with_its_step_and_exit_code() -> None:
    table = [line for line in (DOCS / "faults.md").read_text().splitlines() if line.startswith("| `")]
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table]
    assert [(row[0], row[3], row[4]) for row in rows] == [(each.id, each.step, str(each.code)) for each in FAULTS]


# --- docs/operating.md, docs/mirror.md --------------------------------------------------------------------------------


def commands(command: Any, name: str) -> Iterator[tuple[str, set[str]]]:
    """Each command line of a program: its name, and every spelling of its options."""
    flags = {flag for each in command.params for flag in each.opts if flag.startswith("-")}
    inner = getattr(command, "commands", {})
    if flags or not inner:
        yield name, flags
    for word, each in inner.items():
        yield from commands(each, f"{name} {word}")


COMMANDS = (
    *commands(typer.main.get_command(bundle_app("X.bin")), "bash X.bin"),
    *commands(typer.main.get_command(control_app("NAME")), "NAME-ctl"),
    *commands(typer.main.get_command(builder_app), "sealift"),
)


@pytest.mark.parametrize(("name", "flags"), COMMANDS, ids=lambda value: value if isinstance(value, str) else "")
def test_every_option_is_explained_and_no_other(name: str, flags: set[str]) -> None:
    """Each command line has a section, named as it is called, with a row for each of its options."""
    heading = rf"^##+ `{re.escape(name)}(?: [A-Z\[][^`]*)?`\n(.*?)(?=^##|\Z)"
    page = "mirror.md" if name.startswith("sealift mirror") else "operating.md"
    found = re.search(heading, (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)
    assert found, f"docs/{page} has no section about {name}"
    cells = re.findall(r"^\| (`-[^|]*) \|", found[1], re.MULTILINE)
    assert {flag for cell in cells for flag in re.findall(r"`(-[^`]+)`", cell)} - {"--help"} == flags


def test_its_outputs_are_those_of_the_tutorial() -> None:
    """What the tutorial shows is compared with a real run: see tests/e2e/test_tutorial.py."""
    real = {text for kind, text in _FENCE.findall((DOCS / "tutorial.md").read_text()) if kind == "text"}
    shown = [text for kind, text in _FENCE.findall((DOCS / "operating.md").read_text()) if kind == "text"]
    assert len(shown) >= 2
    assert set(shown) <= real


# --- all pages --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(CHECKOUT)))
def test_links_lead_somewhere(page: Path) -> None:
    for link in _LINK.findall(page.read_text()):
        if link.startswith(("https://", "http://")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{link} leads nowhere"
        if anchor:
            headings = re.findall(r"^#+ (.+)$", target.read_text(), re.MULTILINE)
            assert anchor in {re.sub(r"[^a-z0-9 -]", "", each.lower()).replace(" ", "-") for each in headings}, link


def test_every_promise_of_the_readme_names_a_test() -> None:
    text = (CHECKOUT / "README.md").read_text()
    table = text.split("| promise | kept by |", 1)[1].split("\n\n", 1)[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    assert len(rows) >= 10
    for row in rows:
        tests = re.findall(r"`(tests/[^`]+\.py)`", row)
        assert tests, f"no test keeps: {row}"
        assert all((CHECKOUT / name).is_file() for name in tests), row


# --- the tool knows no product ----------------------------------------------------------------------------------------


def test_the_tool_knows_no_product() -> None:
    """The names of the reference product, of its parts and of its API are nowhere in the tool."""
    manifest = CHECKOUT / "management" / "bundle.toml"
    words = ["sealift-server", "sealift-cli", "sealift_console_agent", "sealift_host_agent", "ConsoleProxy",
             "websockify", "admin_password", "listen_port", "management_ip", "datasette"]  # fmt: skip
    assert all(word in manifest.read_text() for word in ("sealift-server", "admin_password", "listen_port"))
    suspects = re.compile("|".join(map(re.escape, words)), re.IGNORECASE)
    for folder in ("builder", "installer", "payload", "repos", "templates"):
        for path in (CHECKOUT / folder).rglob("*"):
            if path.suffix in {".py", ".j2", ".sh"}:
                assert not suspects.findall(path.read_text()), path
