"""The bundle's repository, served out of the file itself for as long as a run needs it: nothing is unpacked for dnf."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from installer.writing import write_file
from payload.archive import VerifiedBundle
from repos.dialect import Source
from repos.offline import KEYS_FOLDER, REPOSITORY_FOLDER, RepositoryFile, bundle_repository, rpm_key_name

_START = f"{REPOSITORY_FOLDER}/"


class BundleFiles:
    """The files of the repository in `bundle`, for `repos.serving`.

    Metadata is checked against the signed index before any of it is given out. A package is not: staging reads it
    before the first step that needs it, and the package manager holds what it gets against that metadata.
    """

    def __init__(self, bundle: VerifiedBundle, release: Path | None = None) -> None:
        """Read the metadata. Packages that an upgrade bundle does not hold lie in the folder `release`, if anywhere.

        Raises:
            IntegrityError: it is damaged.
        """
        self._bundle = bundle
        self._release = release
        stored = {blob.digest: blob.size for blob in bundle.index.blobs}
        files = {e.path.removeprefix(_START): e.blob for e in bundle.index.entries if e.path.startswith(_START)}
        self._sizes = {path: stored[blob] for path, blob in files.items() if blob in stored}
        self._outside = files.keys() - self._sizes.keys()
        self._metadata = {path: bundle.read(_START + path) for path in self._sizes if not path.endswith(".rpm")}

    def size(self, path: str) -> int | None:
        """See `repos.serving.Files`."""
        if path in self._outside and self._release is not None and (file := self._release / _START / path).is_file():
            return file.stat().st_size
        return self._sizes.get(path)

    def read(self, path: str, offset: int, size: int) -> bytes:
        """See `repos.serving.Files`."""
        if (metadata := self._metadata.get(path)) is not None:
            return metadata[offset : offset + size]
        if path in self._outside and self._release is not None:
            with (self._release / _START / path).open("rb") as file:
                file.seek(offset)
                return file.read(size)
        with self._bundle.opened(_START + path) as member:
            return member.pread(size, offset)


@contextmanager
def served_bundle(bundle: VerifiedBundle, release: Path | None = None) -> Iterator[Source]:
    """Serve the repository in `bundle` on loopback and give the private reposdir that names it. What an upgrade bundle
    does not hold comes from `release`, the folder where it was laid out.

    Raises:
        IntegrityError: the keys or the metadata are damaged.
    """
    from repos.serving import serving  # noqa: PLC0415 - an HTTP server: few runs install packages

    manifest = bundle.index.manifest
    with tempfile.TemporaryDirectory(prefix="sealift-served-") as name:
        folder = Path(name)
        own_key = f"{REPOSITORY_FOLDER}/{rpm_key_name(manifest.product.name)}"
        for entry in bundle.index.entries:
            if entry.path == own_key or entry.path.startswith(f"{KEYS_FOLDER}/"):
                (folder / entry.path).parent.mkdir(exist_ok=True)
                (folder / entry.path).write_bytes(bundle.read(entry.path))
        with serving(BundleFiles(bundle, release)) as url:
            yield write_repository_file(folder, "bundle.repo", bundle_repository(manifest, folder, url=url))


def write_repository_file(reposdir: Path, name: str, repositories: RepositoryFile) -> Source:
    """Write a private repository file."""
    reposdir.mkdir(exist_ok=True)
    write_file(reposdir / name, repositories.render().encode())
    return Source(reposdir, repositories.ids)
