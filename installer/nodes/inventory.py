"""The inventory: a TOML file that names the nodes. All of its mistakes are found at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, StringConstraints, ValidationError

from payload.document import Document
from payload.errors import InputError

_Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$")]
_Address = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}$")]
_User = Annotated[str, StringConstraints(pattern=r"^[a-z_][a-z0-9_-]{0,31}$")]


class Node(Document):
    """A node. `key` is a private key's file; without one, ssh takes those that it knows."""

    name: _Name
    address: _Address
    port: int = Field(default=22, ge=1, le=65535)
    user: _User = "root"
    key: Path | None = None


class Inventory(Document):
    """The nodes, in the order in which they are upgraded. Paths are relative to the file."""

    known_hosts: Path | None = None
    """The host keys; without it, those that ssh knows."""
    shared_database: bool = True
    """All nodes work on one database, which the first of them migrates."""
    hosts: tuple[Node, ...] = ()


def read_inventory(path: Path) -> Inventory:
    """Read and check the inventory at `path`.

    Raises:
        InputError: it cannot be read, or has mistakes; `details` lists all of them.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _refused(path, [str(error)]) from error
    try:
        inventory = Inventory.model_validate(document)
    except ValidationError as error:
        raise _refused(path, [f"{_place(each['loc'])}: {each['msg']}" for each in error.errors()]) from error
    inventory = _absolute(inventory, path.absolute().parent)
    if problems := [*_entries(inventory), *_files(inventory)]:
        raise _refused(path, problems)
    return inventory


def _place(location: tuple[int | str, ...]) -> str:
    """`hosts[2].port`, counted from 1 as people do."""
    words = (f"[{part + 1}]" if isinstance(part, int) else f".{part}" for part in location)
    return "".join(words).lstrip(".") or "the file"


def _absolute(inventory: Inventory, folder: Path) -> Inventory:
    hosts = tuple(
        node if node.key is None else node.model_copy(update={"key": folder / node.key}) for node in inventory.hosts
    )
    known = None if inventory.known_hosts is None else folder / inventory.known_hosts
    return inventory.model_copy(update={"hosts": hosts, "known_hosts": known})


def _entries(inventory: Inventory) -> Iterator[str]:
    if not inventory.hosts:
        yield "hosts: there is none"
    names: dict[str, int] = {}
    places: dict[tuple[str, int], str] = {}
    for number, node in enumerate(inventory.hosts, 1):
        if (first := names.setdefault(node.name, number)) != number:
            yield f"hosts[{number}].name: {node.name} is given twice: see hosts[{first}]"
        other = places.setdefault((node.address.lower(), node.port), node.name)
        if other != node.name:
            yield f"hosts[{number}].address: {node.address}:{node.port} is {other} already"


def _files(inventory: Inventory) -> Iterator[str]:
    if inventory.known_hosts is not None and not inventory.known_hosts.is_file():
        yield f"known-hosts: there is no file {inventory.known_hosts}"
    for number, node in enumerate(inventory.hosts, 1):
        if node.key is None:
            continue
        if not node.key.is_file():
            yield f"hosts[{number}].key: there is no file {node.key}"
        elif node.key.stat().st_mode & 0o077:
            yield f"hosts[{number}].key: others may read {node.key}: chmod 600 {node.key}"


def _refused(path: Path, problems: list[str]) -> InputError:
    return InputError(
        "inventory-invalid",
        f"the inventory {path} has {len(problems)} mistakes"
        if len(problems) > 1
        else f"the inventory {path} has a mistake",
        details="\n".join(problems),
        remedy="docs/nodes.md describes it; nothing was asked of any node",
    )
