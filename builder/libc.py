"""Which glibc a program needs: the newest symbol version that any of its ELF files asks of it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.gnuversions import GNUVerNeedSection

from payload.errors import ResolveError
from payload.model import OLDEST_GLIBC

_MAGIC = b"\x7fELF"
_SYMBOLS = re.compile(r"^GLIBC_(2\.\d+)(\.\d+)?$")


def libc_floor(files: Iterable[tuple[str, BinaryIO]]) -> str:
    """The lowest glibc, such as `2.17`, with which all `files` (name, seekable stream) load.
    Files other than ELF do not count.

    Raises:
        ResolveError: an ELF file is malformed, or asks for private symbols of one glibc.
    """
    versions = {OLDEST_GLIBC}
    for name, stream in files:
        if stream.read(len(_MAGIC)) == _MAGIC:
            try:
                versions.update(_needed(stream))
            except (ELFError, ValueError) as error:
                raise ResolveError("elf-unreadable", f"{name} is not a usable program", details=str(error)) from error
    return max(versions, key=minor)


def folder_floor(folder: Path) -> str:
    """The same for all files in and below `folder`.

    Raises:
        ResolveError: as above.
    """
    return libc_floor(_opened(_files(folder)))


def files_above(folder: Path, libc: str) -> tuple[tuple[str, str], ...]:
    """The files in and below `folder` that need a newer glibc than `libc`: their paths there, and what they need.

    Raises:
        ResolveError: as above.
    """
    floors = ((name, libc_floor([(name, stream)])) for name, stream in _opened(_files(folder)))
    return tuple((str(Path(name).relative_to(folder)), floor) for name, floor in floors if minor(floor) > minor(libc))


def _files(folder: Path) -> Iterator[Path]:
    return (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())


def _opened(paths: Iterable[Path]) -> Iterator[tuple[str, BinaryIO]]:
    for path in paths:
        with path.open("rb") as stream:
            yield str(path), stream


def minor(libc: str) -> int:
    """The part of a glibc's version that counts: 17 of `2.17`."""
    return int(libc.removeprefix("2."))


def _needed(stream: BinaryIO) -> Iterator[str]:
    sections = (section for section in ELFFile(stream).iter_sections() if isinstance(section, GNUVerNeedSection))
    for _, symbols in (version for section in sections for version in section.iter_versions()):
        for symbol in symbols:
            if symbol.name == "GLIBC_PRIVATE":
                raise ValueError("it needs GLIBC_PRIVATE: it fits one glibc only")
            if found := _SYMBOLS.match(symbol.name):
                yield found[1]
