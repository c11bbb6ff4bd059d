"""Changes to a file, for Hypothesis: what bad disks, bad copies and bad people do to it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import zstandard
from hypothesis import strategies as st

from payload.digest import digest_bytes
from payload.errors import IntegrityError
from payload.format import TRAILER_SIZE, Trailer
from payload.index import decode_index, encode_signatures
from payload.signing import PrivateKey
from payload.statement import statement_of

EXAMPLES = int(os.environ.get("SEALIFT_EXAMPLES", "60"))
"""How many changes each property is tried with: some seconds in all. A few thousand are a night's work; the dice fall
anew when the number is given."""

HOSTILE: tuple[Any, ...] = (
    *(None, True, "", [], {}, 0, 1, -1, 4095, 4096, 8 << 20, 1 << 31, 1 << 62, 1 << 63, 1 << 64, 1.5),
    *(
        "..",
        ".",
        "/etc/passwd",
        "../up",
        "a/../../up",
        "a//b",
        "a/./b",
        "a\\b",
        "a\0b",
        "a\nb",
        "\u202e",
        "~",
        "a" * 300,
    ),
    *("\u00e9" * 200, "sha256:" + "0" * 64, "sha256:" + "F" * 64, "raw", "zstd", "base", "server/empty", "server"),
)
"""Values that mean trouble somewhere in an index."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a file: `kind` is done at `at` with `length` bytes, with those at `there`, or with `noise`."""

    kind: str
    at: int
    length: int
    there: int
    noise: bytes

    def made(self, content: bytes) -> bytes:
        """The changed file; a place beyond its end is its end."""
        at, there = min(self.at, len(content)), min(self.there, len(content))
        before, behind, noise = content[:at], content[at:], self.noise
        match self.kind:
            case "truncate":
                return before
            case "flip":
                return before + bytes(byte ^ (1 << self.length % 8) for byte in behind[:1]) + behind[1:]
            case "overwrite":
                return before + noise + behind[len(noise) :]
            case "zero":
                return before + bytes(len(behind[: self.length])) + behind[self.length :]
            case "insert":
                return before + noise + behind
            case "remove":
                return before + behind[self.length :]
            case "repeat":
                return before + content[there:][: self.length] + behind
            case _:
                return _exchanged(content, at, there, self.length)


_KINDS = ("truncate", "flip", "overwrite", "zero", "insert", "remove", "repeat", "exchange")


def changes(size: int, places: Sequence[int]) -> st.SearchStrategy[list[Change]]:
    """One to three changes of a file of `size` bytes, most of them near one of `places`."""
    near = st.tuples(st.sampled_from(sorted(places)), st.integers(-20, 400)).map(lambda found: max(0, sum(found)))
    where = near | st.integers(0, size)
    length = st.integers(1, 40) | st.integers(1, size)
    change = st.builds(Change, st.sampled_from(_KINDS), where, length, where, st.binary(min_size=1, max_size=40))
    return st.lists(change, min_size=1, max_size=3)


def changed(content: bytes, made: Sequence[Change]) -> bytes:
    """The file after all changes; it may be the same."""
    for change in made:
        content = change.made(content)
    return content


def _exchanged(content: bytes, one: int, other: int, length: int) -> bytes:
    """Two ranges that do not overlap in each other's place."""
    one, other = sorted((one, other))
    length = min(length, other - one, len(content) - other)
    middle = content[one + length : other]
    return content[:one] + content[other:][:length] + middle + content[one:][:length] + content[other + length :]


@st.composite
def lying(draw: st.DrawFn, document: Any, times: int = 2) -> Any:
    """The index with some of its values replaced: by hostile ones, or by others of it; mostly those of its tables."""
    changed = json.loads(json.dumps(document))
    for _ in range(draw(st.integers(1, times))):
        tables = [each for each in (changed.get("entries"), changed.get("blobs")) if isinstance(each, list) and each]
        folder, key = _descend(draw, draw(st.sampled_from([changed, *tables])))
        match draw(st.sampled_from(["hostile", "number", "other", "remove", "twice"])):
            case "hostile":
                folder[key] = draw(st.sampled_from(HOSTILE))
            case "number":
                folder[key] = folder[key] + draw(st.integers(-5000, 5000)) if type(folder[key]) is int else 7
            case "other":
                others, other = _descend(draw, changed)
                folder[key] = json.loads(json.dumps(others[other]))
            case "remove":
                del folder[key]
            case _:
                if isinstance(folder, list):
                    folder.append(json.loads(json.dumps(folder[key])))
                else:
                    folder[f"{key}-too"] = folder[key]
    return changed


def _descend(draw: st.DrawFn, document: Any) -> tuple[Any, Any]:
    """A container somewhere in the document, and a key or position of it."""
    here = document
    while True:
        key = draw(st.sampled_from(sorted(here) if isinstance(here, dict) else range(len(here))))
        if not isinstance(here[key], (dict, list)) or not here[key] or draw(st.integers(0, 9)) == 0:
            return here, key
        here = here[key]


def index_document(content: bytes) -> Any:
    """The index of a bundle as JSON."""
    trailer = Trailer.unpack(content[-TRAILER_SIZE:], len(content))
    stored = content[trailer.index_offset :][: trailer.index_size]
    return json.loads(zstandard.ZstdDecompressor().decompress(stored))


def resigned(content: bytes, document: Any, *keys: PrivateKey) -> bytes:
    """The bundle under another index, which `keys` sign, with a trailer that fits.

    Nobody can sign what is no index at all: then the old signatures stay.
    """
    before = Trailer.unpack(content[-TRAILER_SIZE:], len(content))
    stored = zstandard.ZstdCompressor().compress(json.dumps(document).encode())
    fitting = replace(before, index_size=len(stored), index_digest=digest_bytes(stored))
    signatures = content[before.signatures_offset :][: before.signatures_size]
    try:
        message = statement_of(decode_index(stored, fitting), stored).message()
        signatures = encode_signatures(key.sign(message) for key in keys)
    except IntegrityError:
        pass
    size = before.index_offset + len(stored) + len(signatures) + TRAILER_SIZE
    trailer = replace(fitting, signatures_size=len(signatures), file_size=size)
    return content[: before.index_offset] + stored + signatures + trailer.pack()


def write(path: Path, content: bytes) -> Path:
    """Make `path` a file with that content."""
    path.write_bytes(content)
    return path
