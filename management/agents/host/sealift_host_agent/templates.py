"""The images that root volumes are made from: each is fetched once to the host's storage, checked, and kept there."""

import hashlib
import json
import re
import urllib.request
from contextlib import closing
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from . import images
from .calls import Body, CallError, left, text

STORAGE_PORT = 7171
_BLOCK = 1 << 20
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def ensure(file: Path, body: Body, token: str) -> str:
    """Have the image at `file`, from the backup storage that `body` names or from its `imageUrl`; returns its format.

    Raises:
        CallError: it cannot be got, is not the one with the `digest` of `body`, or is no image to make volumes from.
    """
    kind = file.suffix.removeprefix(".")
    if file.exists():
        return kind
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    arriving = file.with_name(f".{file.name}.new")
    try:
        with closing(_open(body, token)) as source:
            digest = _copy(source, arriving)
        wanted = body.get("digest")
        if isinstance(wanted, str) and _DIGEST.fullmatch(wanted) and wanted != digest:
            raise CallError(f"the image has the digest {digest}, not {wanted}")
        images.check_foreign(arriving, kind)
        arriving.replace(file)
    finally:
        arriving.unlink(missing_ok=True)
    return kind


def _open(body: Body, token: str) -> BinaryIO:
    stored = body.get("backupStorage")
    if isinstance(stored, dict):
        return _from_storage(text(stored, "hostname"), text(stored, "installPath"), token)
    url = text(body, "imageUrl")
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https"):
        raise CallError(f"{url} is not to be had from this host: add the image to a backup storage (AddImage) first")
    try:
        opened: BinaryIO = urllib.request.urlopen(url, timeout=left())  # noqa: S310 -- its scheme is known
    except (OSError, HTTPException) as error:
        raise CallError(f"{url}: {error}") from error
    return opened


def _from_storage(host: str, path: str, token: str) -> BinaryIO:
    """The bytes of an image on a backup storage, from the agent there, which knows the same token."""
    link = HTTPConnection(host, STORAGE_PORT, timeout=left())
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        link.request("POST", "/sftpbackupstorage/fetch", json.dumps({"installPath": path}), headers)
        answer = link.getresponse()
    except (OSError, HTTPException) as error:
        link.close()
        raise CallError(f"backup storage {host}: {error}") from error
    if answer.status != 200:
        said = answer.read(1000).decode(errors="replace")
        link.close()
        raise CallError(f"backup storage {host}: HTTP {answer.status} {said}")
    return answer


def _copy(source: BinaryIO, target: Path) -> str:
    """Write the stream to a file; returns its digest."""
    digest = hashlib.sha256()
    with target.open("wb") as stream:
        try:
            while block := source.read(_BLOCK):
                left()
                digest.update(block)
                stream.write(block)
        except (OSError, HTTPException) as error:
            raise CallError(f"the image did not arrive: {error}") from error
    return f"sha256:{digest.hexdigest()}"
