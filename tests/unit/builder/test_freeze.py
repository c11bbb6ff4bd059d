from __future__ import annotations

import os
import tarfile
from pathlib import Path

import pytest

from builder.freeze import RuntimeNeeds, freeze, measure, runtime_inputs
from builder.tarball import pack_folder
from payload.errors import ResolveError
from payload.events import NullSink
from tests.unit.builder.product import Site, sha256, stand_in_runtime


def fill(folder: Path, *, backwards: bool) -> None:
    names = ["b", "a", "lib/deep/x", "lib/y"]
    for name in reversed(names) if backwards else names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name * 3000)
        path.chmod(0o700 if name == "a" else 0o600)
        os.utime(path, (len(name), 5 if backwards else 6))
    (folder / "link").symlink_to("lib/y")


def test_the_same_contents_give_the_same_bytes(tmp_path: Path) -> None:
    for name, backwards in (("one", False), ("two", True)):
        fill(tmp_path / name, backwards=backwards)
        pack_folder(tmp_path / name, tmp_path / f"{name}.tar.gz")
    assert (tmp_path / "one.tar.gz").read_bytes() == (tmp_path / "two.tar.gz").read_bytes()


def test_what_is_in_the_archive(tmp_path: Path) -> None:
    fill(tmp_path / "in", backwards=False)
    pack_folder(tmp_path / "in", tmp_path / "r.tar.gz")
    with tarfile.open(tmp_path / "r.tar.gz") as archive:
        members = {member.name: member for member in archive}
    assert list(members) == ["a", "b", "lib", "lib/deep", "lib/deep/x", "lib/y", "link"]
    assert {name: oct(members[name].mode) for name in ("a", "b", "lib")} == {"a": "0o755", "b": "0o644", "lib": "0o755"}
    assert members["link"].linkname == "lib/y"
    assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "")}


def test_what_a_runtime_needs_and_says(tmp_path: Path) -> None:
    fill(tmp_path / "in", backwards=False)
    pack_folder(tmp_path / "in", tmp_path / "r.tar.gz")
    with pytest.raises(ResolveError, match="no help"):
        measure(tmp_path / "r.tar.gz")
    (tmp_path / "in/help.txt").write_text("Usage: bash @program@\n")
    pack_folder(tmp_path / "in", tmp_path / "r.tar.gz")
    # what each member takes, in whole blocks; no program, no wish
    assert measure(tmp_path / "r.tar.gz") == RuntimeNeeds(18 * 4096, "2.2", "Usage: bash @program@\n")


def test_a_runtime_of_the_same_inputs_is_taken_from_the_store(site: Site, tmp_path: Path) -> None:
    packed = stand_in_runtime(site, tmp_path)
    assert sha256(freeze(site.store, NullSink(), None)) == sha256(packed)


def test_the_inputs_name_sources_libraries_and_interpreter() -> None:
    text = runtime_inputs(None).decode()
    assert "payload/model.py sha256:" in text
    assert "pydantic==" in text
    assert "--exclude-module\nsolv" in text
    assert "builder/" not in text
