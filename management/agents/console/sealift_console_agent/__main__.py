"""Start the console agent: `sealift-console-agent --config FILE`.

One long-lived websockify serves all consoles; a token decides which one a visitor gets.
"""

import argparse
import logging
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from . import __version__
from .calls import CallError
from .proxy import ProxyError, running
from .rpc import Call, RpcServer, Settings
from .tokens import Access, TokenStore

PROXY_PORT = 4900


class ConsoleAgent:
    """The calls of the management server."""

    def __init__(self, tokens: TokenStore, proxy_port: int) -> None:
        self._tokens = tokens
        self._proxy_port = proxy_port

    def calls(self) -> dict[str, Call]:
        return {
            "/ping": lambda _body: {"version": __version__},
            "/establish": self.establish,
            "/check": self.check,
            "/delete": self.delete,
        }

    def establish(self, body: dict[str, Any]) -> dict[str, Any]:
        access = _access(body)
        with _as_call_error():
            self._tokens.put(str(body.get("vmUuid", "")), access)
        return {"proxyPort": self._proxy_port}

    def check(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"available": self._tokens.holds(_access(body))}

    def delete(self, body: dict[str, Any]) -> dict[str, Any]:
        with _as_call_error():
            self._tokens.drop(str(body.get("vmUuid", "")))
        return {}


@contextmanager
def _as_call_error() -> Iterator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        raise CallError(str(error)) from error


def _access(body: dict[str, Any]) -> Access:
    missing = [name for name in ("token", "targetHostname", "targetPort") if name not in body]
    if missing:
        raise CallError(f"{', '.join(missing)} must be given")
    with _as_call_error():
        return Access(str(body["token"]), str(body["targetHostname"]), int(body["targetPort"]))


def main() -> None:
    parser = argparse.ArgumentParser(description="Sealift console proxy agent")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--proxy-port", type=int, default=PROXY_PORT)
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args()
    settings = Settings.load(options.config)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    # Not an exception: one that a signal raises in a hook or a destructor is lost.
    ends: SimpleQueue[str | None] = SimpleQueue()
    signal.signal(signal.SIGTERM, lambda _number, _frame: ends.put(None))
    tokens = TokenStore(settings.state_dir)
    try:
        why = _serve(settings, tokens, options.proxy_port, ends)
    except ProxyError as error:
        raise SystemExit(str(error)) from error
    raise SystemExit(why)


def _serve(settings: Settings, tokens: TokenStore, proxy_port: int, ends: "SimpleQueue[str | None]") -> str | None:
    """Serve until `ends` says why not to: None is the wish of who started it."""
    with (
        running(settings.listen_address, proxy_port, tokens.directory) as proxy,
        RpcServer(settings, ConsoleAgent(tokens, proxy_port).calls()) as server,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        threading.Thread(target=_end_with, args=(proxy, ends), daemon=True).start()
        logging.info("listening on %s:%d", settings.listen_address, settings.listen_port)
        why = ends.get()
        server.shutdown()
        return why


def _end_with(proxy: "subprocess.Popen[bytes]", ends: "SimpleQueue[str | None]") -> None:
    # An agent without its proxy is of no use: end, so that systemd starts both again.
    proxy.wait()
    ends.put("websockify has ended")


if __name__ == "__main__":
    main()
