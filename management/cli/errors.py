"""What can go wrong in the shell, and the exit codes that scripts see."""

from management.client.errors import ApiFailure, ClientError

EXIT_CLI = 1
EXIT_API = 3


class CliError(Exception):
    """The command cannot be sent: wrong words, or no session."""


Failure = CliError | ClientError | ApiFailure
FAILURES = (CliError, ClientError, ApiFailure)
