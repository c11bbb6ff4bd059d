"""Asking the product by HTTP."""

from __future__ import annotations

import requests


def ask(url: str, timeout: float) -> str:
    """The status that `url` answers within `timeout` seconds, or the name of what was in the way."""
    with requests.Session() as session:
        session.trust_env = False  # the host's proxies have no business with its own service
        try:
            return str(session.get(url, timeout=timeout, allow_redirects=False).status_code)
        except requests.RequestException as error:
            return type(error).__name__
