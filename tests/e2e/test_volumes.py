"""A split bundle: installed from its parts where they lie, or refused by the name of the part."""

from __future__ import annotations

from pathlib import Path

import pytest

from payload.archive import open_bundle
from payload.volumes import HEADER_SIZE
from tests.e2e.conftest import Bundles
from tests.e2e.forge import Change
from tests.e2e.product import version
from tests.e2e.state import look_at_files
from tests.lab import Host

FIRST, FOLDERS = "/media/one/first.bin", ("/media/disc two", "/media/three")
WORDS = tuple(word for folder in FOLDERS for word in ("--volumes", folder))


@pytest.fixture(scope="module")
def parts(bundles: Bundles) -> tuple[Path, ...]:
    """The first file of 1.1.0, and what was cut out of it."""
    return bundles.split("1.1.0", "24M")


def lay(host: Host, parts: tuple[Path, ...]) -> list[str]:
    """Put the first file into a folder, its parts by turns into two others; returns where the parts are."""
    host.put(parts[0], FIRST)
    places = [f"{FOLDERS[number % 2]}/{part.name}" for number, part in enumerate(parts[1:])]
    for part, place in zip(parts[1:], places, strict=True):
        host.put(part, place)
    return places


def test_it_is_the_same_bundle(parts: tuple[Path, ...], bundles: Bundles) -> None:
    assert len(parts) > 3
    assert all(part.stat().st_size <= 24 << 20 for part in parts)
    assert open_bundle(parts[0]).digest == open_bundle(bundles["1.1.0"]).digest


def test_an_install_reads_the_parts_where_they_lie(bare: Host, parts: tuple[Path, ...]) -> None:
    places = lay(bare, parts)
    before = look_at_files(bare)
    assert "images/trial.qcow2" in bare.run(["bash", FIRST, "--list"]).stdout, "the list is in the first file"

    missing = bare.run(["bash", FIRST, "-o", "-y", *WORDS[:2]], check=False)
    assert (missing.returncode, "[volume-missing]" in missing.stderr) == (10, True), missing.stderr
    for number, place in enumerate(places, 1):
        named = f"first.bin.{number:03}: this part is missing" in missing.stderr
        assert named == place.startswith(FOLDERS[1])

    bare.run(["cp", places[1], "/media/good"])
    Change(flips=(HEADER_SIZE + (9 << 20),)).make(bare, "/media/good", places[1])
    damaged = bare.run(["bash", FIRST, "-o", "-y", *WORDS], check=False)
    assert (damaged.returncode, "[bundle-damaged]" in damaged.stderr) == (10, True), damaged.stderr
    assert "its digest does not fit" in damaged.stderr
    assert look_at_files(bare) == before

    bare.run(["mv", "/media/good", places[1]])
    bare.run(["bash", FIRST, "-o", "-y", *WORDS])
    assert version(bare) == "1.1.0"
    assert {"qemu-utils", "sqlite3"} <= {line.rsplit("-", 2)[0] for line in bare.rpm_qa()}
