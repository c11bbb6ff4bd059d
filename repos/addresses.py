"""Where a repository is served."""

from __future__ import annotations


def listening_address(text: str) -> tuple[str, int]:
    """`HOST:PORT` as a pair; an IPv6 address may stand in brackets.

    Raises:
        ValueError: it is none.
    """
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ValueError(f"{text!r} is not HOST:PORT, such as 0.0.0.0:8079")
    return host.removeprefix("[").removesuffix("]"), int(port)
