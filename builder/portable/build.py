"""Building the portable CPython: once for each state of its sources and scripts, then found in the store."""

from __future__ import annotations

import tempfile
from pathlib import Path

from builder.memo import Made, recall, remember
from builder.portable.sources import LIST, fetch_sources, sources
from builder.tarball import pack_folder
from payload.digest import Digest, digest_file
from payload.effects import run
from payload.errors import CommandError, ResolveError
from payload.events import Note, Sink, stage
from payload.store import Store

_SCRIPTS = Path(__file__).with_name("scripts")


def build_portable(store: Store, sink: Sink) -> Digest:
    """The digest of the portable CPython, a .tar.gz in the store; built if it is not there yet.

    Raises:
        ResolveError: a source cannot be had, or a part cannot be built.
    """
    inputs = build_inputs()
    made = recall(store, inputs)
    if made is None:
        with stage(sink, "python", "build a portable Python from source, which takes some minutes and is done once"):
            wanted = sources(LIST.read_text(encoding="utf-8"))
            fetch_sources(wanted, store)
            with tempfile.TemporaryDirectory(prefix="sealift-python-", dir="/var/tmp") as scratch:  # a gigabyte
                place, out = Path(scratch, "sources"), Path(scratch, "out")
                place.mkdir()
                out.mkdir()
                for source in wanted:
                    (place / source.name).symlink_to(store.path(source.digest).absolute())
                _compile(place, out, sink)
                packed = Path(scratch, "python.tar.gz")
                pack_folder(out, packed)
                made = Made(filename=packed.name, digest=store.add_file(packed))
        remember(store, inputs, made)
    return made.digest


def build_inputs() -> bytes:
    """All that decides about the result."""
    parts = [LIST, *sorted(_SCRIPTS.glob("*.sh"))]
    return "\n".join(["portable python 1", *(f"{part.name} {digest_file(part)}" for part in parts)]).encode()


def _compile(place: Path, out: Path, sink: Sink) -> None:
    try:
        run(["bash", _SCRIPTS / "build.sh", place, out], on_line=lambda line: sink.emit(Note(f"  {line}")))
    except CommandError as error:
        raise ResolveError(
            "python-unbuilt",
            "the portable Python could not be built",
            details=error.details,
            remedy="it needs: apt-get install autoconf automake bzip2 libtool make patch perl python3 tcl xz-utils",
        ) from error
