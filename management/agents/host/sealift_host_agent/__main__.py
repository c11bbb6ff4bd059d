"""Start the host agent: `sealift-host-agent --config FILE`."""

import argparse
import logging
import threading
from pathlib import Path
from typing import Any

from . import __version__
from .facts import capacity, identity, qemu_img_version
from .rpc import Call, CallError, RpcServer, Settings


class HostAgent:
    """Remembers which host the server says this is; forgets it when it restarts, and so the server notices."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._host_uuid: str | None = None

    def calls(self) -> dict[str, Call]:
        return {
            "/host/connect": self.connect,
            "/host/ping": self.ping,
            "/host/echo": lambda _body: {},
            "/host/fact": lambda _body: identity(),
            "/host/capacity": lambda _body: capacity(),
        }

    def connect(self, body: dict[str, Any]) -> dict[str, Any]:
        uuid = body.get("hostUuid")
        if not isinstance(uuid, str) or not uuid:
            raise CallError("hostUuid must be given")
        with self._lock:
            self._host_uuid = uuid
        version = qemu_img_version()
        return {"agentVersion": __version__, **({"qemuVersion": version} if version else {})}

    def ping(self, _body: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            return {"hostUuid": self._host_uuid}


def main() -> None:
    parser = argparse.ArgumentParser(description="Sealift host agent")
    parser.add_argument("--config", type=Path, required=True)
    parser.add_argument("--version", action="version", version=__version__)
    settings = Settings.load(parser.parse_args().config)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    with RpcServer(settings, HostAgent().calls()) as server:
        logging.info("listening on %s:%d", settings.listen_address, settings.listen_port)
        server.serve_forever()


if __name__ == "__main__":
    main()
