"""Serving one node: plain HTTP for this host alone, TLS for everybody, and an orderly stop."""

import asyncio
import logging
import os
import signal
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import uvicorn
from starlette.applications import Starlette

from management.server.app import make_app
from management.server.certificates import Certificates
from management.server.commanderror import CommandError
from management.server.config import LOOPBACK, Config
from management.server.node import Node

log = logging.getLogger(__name__)

FINISH_SECONDS = 5
"""How long answers that are under way may take once the server is to stop."""


class ListenError(CommandError):
    """An address cannot be listened on."""


async def serve(config: Config) -> None:
    """Serve until SIGTERM or SIGINT. Then no connection is accepted, answers under way are finished, and calls too.

    Raises:
        ListenError, CertificateError: see there.
    """
    certificates = Certificates(config.certificates_dir)
    made = certificates.ensure(config.certificate_names())
    # Listen first: a second server must fail here, before it registers itself over the first.
    plain, tls = _listen(LOOPBACK, config.listen_port), _listen(config.listen_address, config.tls_port)
    if made:
        log.info("made certificates: %s", ", ".join(made))
    node = Node(config)
    app = make_app(node)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with app.router.lifespan_context(app):
        servers = _Listener(_settings(app)), _Listener(_settings(app))
        servers[1].config.load()
        servers[1].config.ssl = certificates.context()
        running = [asyncio.create_task(s.serve(sockets=[at])) for s, at in zip(servers, (plain, tls), strict=True)]
        await _started(servers, running)
        _notify("READY=1")
        node.begin()
        log.info("serving %s:%d (TLS) and %s:%d", config.listen_address, config.tls_port, LOOPBACK, config.listen_port)
        await asyncio.wait([asyncio.create_task(stop.wait()), *running], return_when=asyncio.FIRST_COMPLETED)
        _notify("STOPPING=1")
        node.ready = False
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*running)


class _Listener(uvicorn.Server):
    """One of several servers of a process: signals are not its business."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _settings(app: Starlette) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anybody on this host could be somebody else in the audit log
        ws="none",
        timeout_graceful_shutdown=FINISH_SECONDS,
    )


async def _started(servers: Sequence[uvicorn.Server], running: Sequence["asyncio.Task[None]"]) -> None:
    while not all(server.started for server in servers):
        for task in running:
            if task.done():
                task.result()
        await asyncio.sleep(0.01)


def _listen(address: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        listener = socket.create_server((address, port), family=family, backlog=1024)
    except OSError as error:
        raise ListenError(f"cannot listen on {address} port {port}: {error.strerror}") from error
    # Connections inherit it. Without it the second part of an answer waits 40 ms for the client's acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener


def _notify(state: str) -> None:
    """Tell systemd, when it started us and wants to know."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
        notifier.connect("\0" + address[1:] if address.startswith("@") else address)
        notifier.sendall(state.encode())
