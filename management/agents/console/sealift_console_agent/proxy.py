"""websockify in a process of its own.

Its server forks for each visitor. The threaded server that websockify also has keeps the visitor's target in the
shared server object, so that two visitors at once could get each other's console.
"""

import argparse
import contextlib
import logging
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 10


class ProxyError(Exception):
    """websockify does not run."""


@contextlib.contextmanager
def running(address: str, port: int, tokens: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run websockify and end it with the block.

    Raises:
        ProxyError: it does not listen within a few seconds.
    """
    argv = [sys.executable, "-m", __name__, address, str(port), str(tokens)]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as child:
        try:
            _wait_until_listening(child, address, port)
            yield child
        finally:
            child.terminate()


def _wait_until_listening(child: "subprocess.Popen[bytes]", address: str, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), socket.create_connection((address, port), 1):
            # Somebody listens; is it ours? A child that could not bind is gone a moment later.
            time.sleep(0.2)
            if child.poll() is None:
                return
        time.sleep(0.05)
    raise ProxyError(f"websockify does not listen on {address} port {port}")


def main() -> None:
    """The child: `python -m sealift_console_agent.proxy ADDRESS PORT TOKENS`."""
    # Imported here: the agent itself does not need it, and it is slow.
    from websockify.token_plugins import TokenFile  # type: ignore[import-untyped]  # noqa: PLC0415
    from websockify.websocketproxy import WebSocketProxy  # type: ignore[import-untyped]  # noqa: PLC0415

    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("tokens")
    options = parser.parse_args()
    # At INFO websockify logs each visitor's path, and the path holds the token.
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    plugin = TokenFile(options.tokens)
    WebSocketProxy(listen_host=options.address, listen_port=options.port, token_plugin=plugin).start_server()


if __name__ == "__main__":
    main()
