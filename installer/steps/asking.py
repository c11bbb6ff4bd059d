"""Asking the product by HTTP."""

from __future__ import annotations

from contextlib import closing
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit


def ask(url: str, timeout: float) -> str:
    """The status that `url` answers within `timeout` seconds, or the name of what was in the way.

    No redirect is followed, and the host's proxies are not used: they have no business with its own service.
    """
    try:
        parts = urlsplit(url)
        kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        with closing(kind(parts.hostname or "", parts.port, timeout=timeout)) as connection:
            connection.request("GET", parts._replace(scheme="", netloc="", fragment="").geturl() or "/")
            return str(connection.getresponse().status)
    except (OSError, HTTPException, ValueError) as error:
        return type(error).__name__
