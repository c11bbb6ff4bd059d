"""Ports for the servers of tests."""

from __future__ import annotations

import socket

# Below those that the kernel gives to connections: none is taken by chance before its server listens.
_ports = iter(range(20_000, 32_000))


def free_port() -> int:
    """A port that nobody listens on, and that no other test on this machine is given while this process lives."""
    for port in _ports:
        reserved = socket.socket(socket.AF_UNIX)
        try:
            reserved.bind(f"\0sealift-test-port-{port}")
            with socket.socket() as probe:
                probe.bind(("", port))
        except OSError:
            reserved.close()
        else:
            reserved.detach()  # it stays open, and its name taken, until this process ends
            return port
    raise AssertionError("no port is free")
