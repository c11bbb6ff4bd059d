"""Ports for the servers of tests."""

from __future__ import annotations

import itertools
import os
import socket

# Below those that the kernel gives to connections: none is taken by chance before its server listens.
_FIRST, _SLICES, _SLICE = 20_000, 8, 1500
_worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _SLICES
# Runs that go on at the same time begin at different places of a worker's slice.
_numbers = itertools.count(os.getpid())


def free_port() -> int:
    """A port that nobody listens on; another one each time."""
    while True:
        port = _FIRST + _worker * _SLICE + next(_numbers) % _SLICE
        with socket.socket() as probe:
            try:
                probe.bind(("", port))
            except OSError:
                continue
        return port
