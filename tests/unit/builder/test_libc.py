from __future__ import annotations

import io
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pydantic_core
import pytest
import zstandard

from builder.libc import libc_floor, minor
from payload.errors import ResolveError


def test_it_is_what_objdump_finds() -> None:
    libraries = [Path(sys.executable).resolve(), *Path("/lib/x86_64-linux-gnu").glob("libz.so.1.*"), *_extensions()]
    said = subprocess.run(["objdump", "-T", *libraries], capture_output=True, text=True, check=True).stdout
    newest = max(int(found) for found in re.findall(r"GLIBC_2\.(\d+)", said))
    streams = [(path.name, io.BytesIO(path.read_bytes())) for path in libraries]
    assert len(streams) > 10
    assert libc_floor(streams) == f"2.{newest}"


def _extensions() -> Iterator[Path]:
    for module in (pydantic_core, zstandard):
        yield from Path(str(module.__file__)).parent.glob("*.so")
    yield from Path("/usr/lib/python3.11/lib-dynload").glob("*.so")


def test_what_is_no_program_needs_nothing() -> None:
    assert libc_floor([("script", io.BytesIO(b"#!/bin/sh\n")), ("empty", io.BytesIO(b""))]) == "2.2"


@pytest.mark.parametrize("content", [b"\x7fELF", b"\x7fELF\x02\x01\x01" + b"\xff" * 100])
def test_a_malformed_program_is_refused_by_name(content: bytes) -> None:
    with pytest.raises(ResolveError, match="is not a usable program") as caught:
        libc_floor([("lib/broken.so", io.BytesIO(content))])
    assert "lib/broken.so" in str(caught.value)


def test_versions_are_compared_as_numbers() -> None:
    assert minor("2.17") > minor("2.4")
