"""The shell: commands line by line, with a prompt on a terminal and from plain standard input otherwise."""

import shlex
import sys
from collections.abc import Callable, Iterator

from prompt_toolkit import PromptSession
from prompt_toolkit.shortcuts import CompleteStyle

from management.cli.commands import Commands
from management.cli.completion import ShellCompleter
from management.cli.errors import FAILURES, CliError, Failure
from management.cli.history import ShellHistory
from management.cli.session import state_dir

PROMPT = ">>>"
BANNER = """
  Sealift management shell
  Type "help" for the commands, Tab to complete
  Type "quit" or "exit" or Ctrl-d to leave

"""

Report = Callable[[Failure], int]
"""Shows a failure and says which exit code it is."""


def interact(commands: Commands, report: Report) -> int:
    """Ask for commands until the user leaves. Failures are reported and the shell goes on.

    Returns the exit code, 0: whoever sits there has seen what failed.
    """
    sys.stdout.write(BANNER)
    history = ShellHistory(state_dir() / "command_history")
    prompt = PromptSession[str](
        PROMPT,
        history=history,
        completer=ShellCompleter(lambda: commands.catalogue),
        complete_while_typing=False,
        complete_style=CompleteStyle.READLINE_LIKE,
    )
    for line in _typed(prompt):
        if line == "history":
            remembered = list(history.load_history_strings())[::-1]
            print("\n".join(f"{number}  {old}" for number, old in enumerate(remembered, start=1)))
            continue
        try:
            if not _do(commands, line):
                break
        except FAILURES as error:
            report(error)
        except KeyboardInterrupt:
            print("Not waited for: what was sent goes on at the server.", file=sys.stderr)
    return 0


def run_lines(commands: Commands, report: Report) -> int:
    """Do the commands on standard input, with or without `>>>` before them; `#` begins a comment.

    Failures are reported and the next line follows. Returns the exit code of the first failure, or 0.
    """
    first = 0
    for line in iter(sys.stdin.readline, ""):
        command = line.strip().removeprefix(PROMPT)
        try:
            if not command.startswith("#") and not _do(commands, command):
                break
        except FAILURES as error:
            code = report(error)
            first = first or code
    return first


def _do(commands: Commands, line: str) -> bool:
    """Do one line. False when it says to leave."""
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise CliError(f"the line cannot be split into words: {error}") from error
    if words and words[0] in ("quit", "exit"):
        return False
    if words:
        print(commands.overview() if words[0] == "help" else commands.run(words))
        sys.stdout.flush()
    return True


def _typed(prompt: PromptSession[str]) -> Iterator[str]:
    while True:
        try:
            yield prompt.prompt().strip()
        except EOFError:
            return
        except KeyboardInterrupt:
            continue
