"""What Tab offers: verbs by any part of their name, then the verb's parameters and what a query can ask about."""

from collections.abc import Callable, Iterable

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from management.cli.catalogue import Catalogue, Verb
from management.client.errors import ClientError

BUILT_IN = ("exit", "help", "history", "quit")
LISTING = ("fields=", "sortBy=")
SEPARATORS = " \t\n,"


def candidates(catalogue: Catalogue, before: str, text: str) -> list[str]:
    """What may stand in place of `text`, which ends the line after `before`."""
    words = before.split()
    if not words:
        names = (*catalogue.verbs, *BUILT_IN)
        return sorted(f"{name} " for name in names if text.lower() in name.lower())
    verb = catalogue.verbs.get(words[0])
    if verb is None:
        return []
    if words[-1].startswith(LISTING) and not before.endswith(" "):
        return _fields(catalogue, verb, "", text)
    for listing in LISTING:
        if verb.inventory is not None and text.startswith(listing):
            return _fields(catalogue, verb, listing, text.removeprefix(listing))
    return sorted([*_parameters(verb, text), *_conditions(catalogue, verb, text)])


def _fields(catalogue: Catalogue, verb: Verb, lead: str, text: str) -> list[str]:
    inventory = catalogue.reach(verb, "")
    return sorted(lead + name for name in (inventory.fields if inventory else ()) if name.startswith(text))


def _parameters(verb: Verb, text: str) -> list[str]:
    hidden = {"conditions"} if verb.inventory is not None else set()
    return [f"{name}=" for name in verb.parameters.keys() - hidden if name.startswith(text)]


def _conditions(catalogue: Catalogue, verb: Verb, text: str) -> list[str]:
    path, dot, last = text.rpartition(".")
    inventory = catalogue.reach(verb, path)
    if inventory is None:
        return []
    named = [*(f"{name}=" for name in (*inventory.fields, *inventory.lists)), *(f"{link}." for link in inventory.links)]
    return [path + dot + name for name in named if name.startswith(last)]


class ShellCompleter(Completer):
    """Asks for the catalogue when Tab is pressed for the first time."""

    def __init__(self, catalogue: Callable[[], Catalogue]) -> None:
        self._catalogue = catalogue

    def get_completions(self, document: Document, _event: CompleteEvent) -> Iterable[Completion]:
        line = document.text_before_cursor
        begin = max(line.rfind(separator) for separator in SEPARATORS) + 1
        try:
            catalogue = self._catalogue()
        except ClientError:
            # No server, no suggestions: Tab is not the place for an error.
            return
        for found in candidates(catalogue, line[:begin], line[begin:]):
            yield Completion(found, start_position=begin - len(line))
