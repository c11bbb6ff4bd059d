"""What both ends of a move have in common: how they know each other, and that their processors are the same."""

import re
from pathlib import Path
from typing import Any

from .qmp import Qmp

PORTS = range(49152, 49216)
"""Where a host that a VM is moved to listens, for the time of the move; libvirt's range."""
CREDENTIALS = "move"
KEY = re.compile(r"[0-9a-f]{64}")
_USER, _KEYS = "qemu", "keys.psk"


def introduce(talk: Qmp, key: str, folder: Path, endpoint: str) -> None:
    """Have this QEMU take part in moves, as `client` or `server`, with who has the same key, and with nobody else.

    The key passes to QEMU by a file in `folder`, which it reads at every greeting.
    """
    file = folder / _KEYS
    file.touch(mode=0o600)
    file.write_text(f"{_USER}:{key}\n", encoding="ascii")
    name = {"username": _USER} if endpoint == "client" else {}
    talk.do("object-add", qom_type="tls-creds-psk", id=CREDENTIALS, dir=str(folder), endpoint=endpoint, **name)
    talk.do("migrate-set-parameters", tls_creds=CREDENTIALS, tls_hostname="", max_bandwidth=0)


def forget(talk: Qmp, folder: Path) -> None:
    """The key opens nothing any more."""
    (folder / _KEYS).unlink(missing_ok=True)
    if any(each["name"] == CREDENTIALS for each in talk.do("qom-list", path="/objects")):
        talk.do("migrate-set-parameters", tls_creds="")
        talk.do("object-del", id=CREDENTIALS)


def processor(talk: Qmp) -> dict[str, Any]:
    """What the guest sees of its processor: it cannot go on where it would see anything else."""
    path = talk.do("query-cpus-fast")[0]["qom-path"]
    features = talk.do("qom-get", path=path, property="feature-words")
    return {"kvm": talk.do("query-kvm")["enabled"], "features": features}


def uri(address: str, port: int) -> str:
    """Where a migration goes, as QEMU writes it."""
    return f"tcp:[{address}]:{port}" if ":" in address else f"tcp:{address}:{port}"


def inet(address: str, port: int) -> dict[str, Any]:
    """Where disks go, as QEMU writes it."""
    return {"host": address, "port": str(port)}
