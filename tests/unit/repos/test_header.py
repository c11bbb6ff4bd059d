"""Headers of real packages, and of files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from payload import effects
from payload.errors import IntegrityError
from repos.header import read_header_digest, read_rpm
from repos.nevra import Nevra, Requirement


def test_facts_of_a_package(rpms: dict[str, Path]) -> None:
    facts = read_rpm(rpms["tool"])
    assert facts.nevra == Nevra("tool", 0, "2.0~rc1", "1", "noarch")
    assert not facts.source
    assert {Requirement.parse("library >= 1:1.0"), Requirement.parse("/bin/sh")} <= set(facts.requires)
    assert Requirement.parse("tool = 2.0~rc1-1") in facts.provides


def test_an_epoch_is_read(rpms: dict[str, Path]) -> None:
    facts = read_rpm(rpms["library"])
    assert facts.nevra == Nevra("library", 1, "1.2", "3", "noarch")
    assert Requirement.parse("library(api) = 2") in facts.provides


@pytest.mark.parametrize("content", [b"", b"not an rpm", b"\xed\xab\xee\xdb", b"\xed\xab\xee\xdb" + bytes(2000)])
def test_garbage_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "garbage.rpm"
    path.write_bytes(content)
    with pytest.raises(IntegrityError) as caught:
        read_rpm(path)
    assert caught.value.code == "bad-rpm"
    assert str(path) in caught.value.brief


def test_a_cut_header_is_refused(rpms: dict[str, Path], tmp_path: Path) -> None:
    whole = rpms["tool"].read_bytes()
    for length in (100, 200, 400, 1000):
        path = tmp_path / f"cut-{length}.rpm"
        path.write_bytes(whole[:length])
        with pytest.raises(IntegrityError):
            read_rpm(path)


def test_the_digest_of_a_header_is_what_rpm_says(rpms: dict[str, Path]) -> None:
    answer = effects.run(["rpm", "-qp", "--qf", "%{SHA256HEADER}", str(rpms["tool"])])
    assert read_header_digest(rpms["tool"]) == answer.output
