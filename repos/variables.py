"""The package manager's variables in URLs, such as `$releasever`."""

from __future__ import annotations

from collections.abc import Mapping


def expand(url: str, variables: Mapping[str, str]) -> str:
    """`url` with `variables` put in, as `$NAME` or `${NAME}`."""
    for name, value in variables.items():
        url = url.replace(f"${{{name}}}", value).replace(f"${name}", value)
    return url
