"""websockify in a process of its own.

Its server forks for each visitor. The threaded server that websockify also has keeps the visitor's target in the
shared server object, so that two visitors at once could get each other's console.
"""

import argparse
import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

START_SECONDS = 60
STOP_SECONDS = 3


class ProxyError(Exception):
    """websockify does not run."""


@contextlib.contextmanager
def running(address: str, port: int, tokens: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run websockify and end it with the block.

    Raises:
        ProxyError: another program has the port, or it does not listen in time.
    """
    if _answers(address, port):
        raise ProxyError(f"another program listens on {address} port {port}")
    argv = [sys.executable, "-m", __name__, address, str(port), str(tokens)]
    with subprocess.Popen(argv, stdin=subprocess.DEVNULL, start_new_session=True) as child:
        try:
            _wait_until_listening(child, address, port)
            yield child
        finally:
            _end(child)


def _end(child: "subprocess.Popen[bytes]") -> None:
    child.terminate()
    try:
        child.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        # Its handler raises, which is lost in the hooks of a fork, when a visitor has just come. It would not again.
        os.killpg(child.pid, signal.SIGKILL)


def _wait_until_listening(child: "subprocess.Popen[bytes]", address: str, port: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while child.poll() is None and time.monotonic() < deadline:
        if _answers(address, port):
            return
        time.sleep(0.05)
    raise ProxyError(f"websockify does not listen on {address} port {port}")


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), 1).close()
    except OSError:
        return False
    return True


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
