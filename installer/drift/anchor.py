"""The installed release as it may be believed: its index fits the digest that this host wrote down when it took it."""

from __future__ import annotations

from pathlib import Path

from installer.installed import Installed
from installer.offer import Offer, make_offer
from installer.steps.stage import INDEX_NAME
from payload.digest import digest_bytes
from payload.errors import IntegrityError
from payload.index import read_index, release_digest
from payload.model import Index


class TemplateDamagedError(IntegrityError):
    """Something that is rendered is not what the release has."""


def anchored_index(installed: Installed) -> Index:
    """The index of the current release.

    Raises:
        IntegrityError: it is gone, or does not have the digest in the record of what is installed.
    """
    record = installed.state.current_record
    path = installed.layout.release(record.version) / INDEX_NAME
    try:
        index = read_index(path.read_bytes())
    except (OSError, IntegrityError) as error:
        raise _broken(path, installed, str(error)) from error
    if (found := release_digest(index)) != record.bundle:
        raise _broken(path, installed, f"installed: {record.bundle}\nthis list: {found}")
    return index


def anchored_offer(installed: Installed, index: Index) -> Offer:
    """What the release brings, rendered for this host from templates that are what `index` says.

    Raises:
        TemplateDamagedError: one of them is not.
    """
    record = installed.state.current_record
    release = installed.layout.release(record.version)
    digests = {entry.path: entry.blob for entry in index.entries}

    def read(path: str) -> bytes:
        content = _read(release / path)
        if content is None or digest_bytes(content) != digests.get(path):
            raise TemplateDamagedError("template-damaged", f"{release / path} is missing or changed")
        return content

    return make_offer(index, record.bundle, read, installed.layout, installed.state.answers)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() and not path.is_symlink() else None


def _broken(path: Path, installed: Installed, why: str) -> IntegrityError:
    return IntegrityError(
        "anchor-broken",
        f"{path} is not the list of files that was installed, so nothing can be compared with it",
        details=why,
        remedy=f"install the bundle of {installed.state.current} again: bash BUNDLE -o puts back what is damaged",
    )
