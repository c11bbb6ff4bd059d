"""The interactive shell: prompt, history without passwords, completion."""

import readline
import shlex
import sys
from collections.abc import Callable, Iterator

from management.cli.commands import Commands
from management.cli.errors import ApiFailure, CliError
from management.cli.grammar import blank_passwords
from management.cli.session import state_dir

PROMPT = ">>>"
BANNER = """
  Sealift management shell
  Type "help" for the commands, Tab to complete
  Type "quit" or "exit" or Ctrl-d to leave

"""
HISTORY_LINES = 1000
BUILT_IN = ("help", "history", "quit", "exit")


def interact(commands: Commands, report: Callable[[Exception], None]) -> None:
    """Read commands until the user leaves. Failures are reported and the shell goes on."""
    sys.stdout.write(BANNER)
    with_history = _History()
    readline.set_completer_delims(" \t\n,")
    readline.set_completer(Completer(commands))
    readline.parse_and_bind("tab: complete")
    for line in _lines():
        with_history.add(line)
        try:
            words = shlex.split(line)
            if not words:
                continue
            if words[0] in ("quit", "exit"):
                break
            if words[0] == "help":
                print(commands.overview())
            elif words[0] == "history":
                print("\n".join(with_history.lines()))
            else:
                print(commands.run(words))
        except ValueError as error:
            report(CliError(f"the line cannot be split into words: {error}"))
        except (CliError, ApiFailure) as error:
            report(error)
    with_history.save()


def _lines() -> Iterator[str]:
    while True:
        try:
            yield input(PROMPT).strip()
        except EOFError:
            print()
            return
        except KeyboardInterrupt:
            print()


class _History:
    """readline's history, with every password blanked before it is remembered."""

    def __init__(self) -> None:
        self._file = state_dir() / "command_history"
        readline.set_auto_history(False)
        readline.set_history_length(HISTORY_LINES)
        if self._file.is_file():
            readline.read_history_file(self._file)

    def add(self, line: str) -> None:
        if line:
            readline.add_history(blank_passwords(line))

    def lines(self) -> list[str]:
        count = readline.get_current_history_length()
        return [f"{number}  {readline.get_history_item(number)}" for number in range(1, count + 1)]

    def save(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file.touch(mode=0o600)
        readline.write_history_file(self._file)


class Completer:
    """readline's completer: verbs by any part of their name, then the verb's parameters and query fields."""

    def __init__(self, commands: Commands) -> None:
        self._commands = commands
        self._matches: list[str] = []

    def __call__(self, text: str, state: int) -> str | None:
        if state == 0:
            self._matches = self.matches(readline.get_line_buffer()[: readline.get_begidx()], text)
        return self._matches[state] if state < len(self._matches) else None

    def matches(self, before: str, text: str) -> list[str]:
        """What may stand in place of `text` after `before`."""
        try:
            catalogue = self._commands.catalogue
        except CliError:
            # No server, no suggestions: Tab is not the place for an error.
            return []
        words = before.split()
        if not words:
            names = (*catalogue, *BUILT_IN)
            return sorted(f"{name} " for name in names if text.lower() in name.lower())
        verb = catalogue.get(words[0])
        if verb is None:
            return []
        fields = verb.query_fields or ()
        if words[-1].startswith(("fields=", "sortBy=")) and not before.endswith(" "):
            return sorted(name for name in fields if name.startswith(text))
        if text.startswith("fields="):
            return [f"fields={name}" for name in fields if name.startswith(text.removeprefix("fields="))]
        names = (*fields, *(name for name in verb.parameters if name != "conditions"))
        return sorted(f"{name}=" for name in names if name.startswith(text))
