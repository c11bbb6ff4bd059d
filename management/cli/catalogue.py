"""What the server says it can be asked: verbs with their parameters, and inventories that queries reach through."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

COMMON_PARAMETERS = {"timeout": {"kind": "int", "required": False}}


@dataclass(frozen=True, slots=True)
class Verb:
    """One call. `inventory` is what a query asks about, and None for all else."""

    name: str
    message: str
    needs_session: bool
    parameters: dict[str, dict[str, Any]]
    secrets: frozenset[str]
    inventory: str | None
    help: str

    @classmethod
    def of(cls, name: str, entry: dict[str, Any]) -> "Verb":
        return cls(
            name,
            entry["message"],
            entry["needsSession"],
            {**entry["parameters"], **COMMON_PARAMETERS},
            frozenset(entry["secrets"]),
            entry.get("inventory"),
            entry["help"],
        )


@dataclass(frozen=True, slots=True)
class Inventory:
    """What can be asked about one kind of row. `links` is name to the name of another inventory."""

    fields: tuple[str, ...]
    lists: tuple[str, ...]
    links: dict[str, str]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Verbs and inventories by name."""

    verbs: Mapping[str, Verb]
    inventories: Mapping[str, Inventory]

    @classmethod
    def of(cls, described: dict[str, Any]) -> "Catalogue":
        return cls(
            {name: Verb.of(name, entry) for name, entry in described["messages"].items()},
            {
                name: Inventory(tuple(entry["fields"]), tuple(entry["lists"]), dict(entry["links"]))
                for name, entry in described["inventories"].items()
            },
        )

    def reach(self, verb: Verb, path: str) -> Inventory | None:
        """The inventory at the end of `path` (`host.zone`, or nothing) seen from what the verb asks about."""
        name = verb.inventory
        for link in path.split(".") if path else ():
            found = self.inventories.get(name or "")
            name = found.links.get(link) if found else None
        return self.inventories.get(name or "")
