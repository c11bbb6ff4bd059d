"""What ends a command of `sealift-server` with one line: apart, so that a command loads only what it needs."""

from typing import ClassVar

EXIT_FAILED, EXIT_USAGE, EXIT_NEWER_SCHEMA = 1, 2, 3


class CommandError(Exception):
    """The command cannot go on; the text says why. `code` is what it exits with."""

    code: ClassVar[int] = EXIT_FAILED
