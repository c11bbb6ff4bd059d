"""Packages of the operating system that hosts need, from the repository that this release serves to them."""

from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

REPOSITORY = "sealift"
"""The id of the repository on hosts."""
_FILE = """# For the calls of the management server's deployment only; the host's own repositories are elsewhere.
[{id}]
name=Packages from the management server
baseurl={url}
gpgcheck=1
repo_gpgcheck=1
gpgkey={keys}
metadata_expire=0
module_hotfixes=1
proxy=_none_
skip_if_unavailable=0
"""


class KeysMissingError(Exception):
    """There is no public key that packages could be checked against."""


@dataclass(frozen=True, slots=True)
class PackageSource:
    """The repository at `url`, signed by the keys in the files that the patterns `keys` find, and the packages `wanted`
    of it."""

    url: str
    keys: tuple[str, ...]
    wanted: tuple[str, ...]

    def reaches(self, address: str) -> bool:
        """Whether a host at `address` can get at it: what is served on loopback is for this host alone."""
        return not _is_loopback(urlsplit(self.url).hostname or "") or _is_loopback(address)

    def files(self, folder: str) -> tuple[tuple[str, bytes], ...]:
        """What a host has in `folder`, which is its private reposdir: the repository file and the keys it names.

        Raises:
            KeysMissingError: no pattern finds a key.
        """
        found = sorted({Path(path) for pattern in self.keys for path in Path("/").glob(pattern.lstrip("/"))})
        if not found:
            raise KeysMissingError(f"no file with a public key is at {' or '.join(self.keys)}")
        names = [f"{number}-{path.name}" for number, path in enumerate(found)]
        urls = "\n       ".join(f"file://{folder}/{name}" for name in names)
        text = _FILE.format(id=REPOSITORY, url=self.url, keys=urls)
        keys = ((name, path.read_bytes()) for name, path in zip(names, found, strict=True))
        return ((f"{REPOSITORY}.repo", text.encode()), *keys)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
