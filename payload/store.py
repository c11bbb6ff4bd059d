"""A folder of files named by their digest. Nothing gets its final name there before its bytes were checked.

Layout: `sha256/ab/abcdef…`; beside it, while it is written or still to be vouched for, `.unverified-abcdef…`. Several
processes and threads may use one store: writers of the same digest take turns by a lock on the unverified file, readers
need none.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedRandom
from pathlib import Path

from payload.digest import CHUNK, Digest, digest_file, hex_of
from payload.effects import fsync_dir
from payload.errors import IntegrityError, ResolveError

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def default_root() -> Path:
    """Where the user's store is: `$XDG_CACHE_HOME/sealift/store`, by default under `~/.cache`."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "sealift" / "store"


class Store:
    """A content-addressed folder at `root`."""

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()

    def path(self, digest: Digest) -> Path:
        """Where the file with that digest is, or would be.

        Raises:
            ValueError: `digest` is not `sha256:` and 64 hex digits.
        """
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{digest!r} is not a sha256 digest")
        digits = hex_of(digest)
        return self.root / "sha256" / digits[:2] / digits

    def has(self, digest: Digest) -> bool:
        """Whether the file is there. It was checked when it came in."""
        return self.path(digest).is_file()

    def held(self, digest: Digest) -> Path:
        """Where the file is until it is admitted."""
        return self._unverified(digest)

    def admit(self, digest: Digest) -> None:
        """Give a held file its name: it was vouched for. Another process may have done so already."""
        final = self.path(digest)
        try:
            with _locked(self._unverified(digest), create=False):
                self._unverified(digest).rename(final)
        except FileNotFoundError:
            if not final.is_file():
                raise
        fsync_dir(final.parent)

    def _unverified(self, digest: Digest) -> Path:
        final = self.path(digest)
        return final.with_name(f".unverified-{final.name}")

    @contextmanager
    def incoming(self, digest: Digest, *, resume: bool = False, hold: bool = False) -> Iterator[BufferedRandom]:
        """A file to write the content of `digest` into; checked, made durable and renamed when the block ends.

        With `resume`, what an earlier, interrupted block wrote is kept and the file stands at its end; without, it is
        empty. A block that raises leaves its part for the next `resume` (or nothing, without it). Another writer of the
        same digest may have finished while this one waited for its turn: look at `has` again inside the block; a file
        left empty then is dropped. With `hold`, the digest is not all that counts: the file is `held` until `admit`.

        Raises:
            IntegrityError: what was written has another digest. It is dropped.
            ResolveError: the disk is full.
        """
        unverified = self._unverified(digest)
        unverified.parent.mkdir(parents=True, exist_ok=True)
        with _locked(unverified) as stream:
            if not resume:
                stream.truncate(0)
            stream.seek(0, os.SEEK_END)
            try:
                with _full_disk(self.root):
                    yield stream
                    stream.flush()
            except BaseException:
                if not resume:
                    unverified.unlink()
                raise
            if self.has(digest) and stream.tell() == 0:
                unverified.unlink()
                return
            self._check(stream, unverified, digest)
            if not hold:
                unverified.rename(self.path(digest))
                fsync_dir(unverified.parent)

    def add_file(self, source: Path) -> Digest:
        """Copy `source` in and say its digest.

        Raises:
            ResolveError: the disk is full.
        """
        folder = self.root / "sha256"
        folder.mkdir(parents=True, exist_ok=True)
        fd, name = tempfile.mkstemp(prefix=".unverified-", dir=folder)
        temporary = Path(name)
        try:
            hasher = hashlib.sha256()
            with _full_disk(self.root), os.fdopen(fd, "wb") as out, source.open("rb") as content:
                while chunk := content.read(CHUNK):
                    hasher.update(chunk)
                    out.write(chunk)
                out.flush()
                os.fchmod(out.fileno(), 0o644)
                os.fsync(out.fileno())
            digest = f"sha256:{hasher.hexdigest()}"
            final = self.path(digest)
            final.parent.mkdir(exist_ok=True)
            temporary.rename(final)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        fsync_dir(final.parent)
        return digest

    def _check(self, stream: BufferedRandom, unverified: Path, digest: Digest) -> None:
        found = digest_file(unverified)
        if found != digest:
            unverified.unlink()
            raise IntegrityError(
                "digest-mismatch",
                "A file is not what its digest says; it was dropped",
                details=f"expected {digest}\nfound    {found}",
                remedy="Fetch it again. If it comes out the same, its source changed: make the lock anew.",
            )
        os.fchmod(stream.fileno(), 0o644)
        os.fsync(stream.fileno())


@contextmanager
def _locked(path: Path, *, create: bool = True) -> Iterator[BufferedRandom]:
    """`path`, opened and locked. Who waited for a writer that finished holds a file without that name: open again."""
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
        with os.fdopen(fd, "r+b") as stream:
            fcntl.flock(fd, fcntl.LOCK_EX)
            if _same_file(path, fd):
                yield stream
                return


def _same_file(path: Path, fd: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(fd))
    except FileNotFoundError:
        return False


@contextmanager
def _full_disk(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise ResolveError(
            "disk-full",
            f"No space left for the store {root}",
            details=str(error),
            remedy="Free some space, or choose another folder by XDG_CACHE_HOME.",
        ) from error
