"""Start the agent of a backup storage: `sealift-storage-agent --config FILE`."""

import argparse
import logging
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from . import __version__
from .calls import Body, CallError, inside, limited, number, text
from .downloads import Downloads
from .rpc import Call, File, RpcServer, Settings

IMPORTS = Path("/var/lib/sealift/images")
MAX_SECONDS = 30 * 86400
_ROOT = re.compile(r"(?:/[A-Za-z0-9._-]+)+")
_ID = r"[0-9a-f]{32}"
_IMAGE = re.compile(
    rf"(?P<root>{_ROOT.pattern})/(?:rootVolumeTemplates|dataVolumeTemplates)/acct-{_ID}/{_ID}/[^/\0.][^/\0]{{0,240}}\.template"
)


class StorageAgent:
    """The calls of the management server, and of hosts that need an image."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    def calls(self) -> Mapping[str, Call]:
        return {
            "/sftpbackupstorage/echo": lambda _body: {},
            "/sftpbackupstorage/connect": self.connect,
            "/sftpbackupstorage/download": self.download,
            "/sftpbackupstorage/delete": self.delete,
        }

    def files(self) -> Mapping[str, File]:
        return {"/sftpbackupstorage/fetch": _image}

    def connect(self, body: Body) -> Body:
        """Make the storage's folder, and say how much room there is."""
        path = text(body, "storagePath")
        if not _ROOT.fullmatch(path) or not {".", ".."}.isdisjoint(path.split("/")):
            raise CallError(f"storagePath is no path of a folder: {path[:300]!r}")
        folder = Path(path)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _capacity(folder)

    def download(self, body: Body) -> Body:
        file, url = _image(body), text(body, "url")
        with limited(number(body, "timeout", 1, MAX_SECONDS)):
            self._downloads.get(url, file)
        return {"md5Sum": "not calculated", "size": file.stat().st_size, **_capacity(file.parent)}

    def delete(self, body: Body) -> Body:
        self._downloads.remove(_image(body))
        return {}


def _image(body: Body) -> Path:
    return inside(_IMAGE, text(body, "installPath"), "installPath")


def _capacity(folder: Path) -> Body:
    room = shutil.disk_usage(folder)
    return {"totalCapacity": room.total, "availableCapacity": room.free}


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Sealift backup storage agent: downloads images, keeps them, and gives them to hosts."
    )
    parser.add_argument("--config", type=Path, required=True, help="agent.json, as the deployment writes it")
    parser.add_argument(
        "--imports",
        type=Path,
        default=IMPORTS,
        metavar="FOLDER",
        help="the folder whose files may be added as images by file: URLs (default: %(default)s)",
    )
    parser.add_argument("--version", action="version", version=__version__)
    options = parser.parse_args()
    settings = Settings.load(options.config)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    agent = StorageAgent(Downloads(options.imports))
    with RpcServer(settings, agent.calls(), agent.files()) as server:
        logging.info("listening on %s:%d", settings.listen_address, settings.listen_port)
        server.serve_forever()


if __name__ == "__main__":
    main()
