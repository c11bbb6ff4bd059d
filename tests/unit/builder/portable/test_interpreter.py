"""A portable Python that the manifest brings. The one that is built is proven by tests/e2e/test_old_host.py."""

from __future__ import annotations

import platform
import shutil
import sys
from pathlib import Path

import pytest

from builder.fetch import fetch
from builder.lockfile import lock_text, read_lock, write_lock
from builder.manifest import load_manifest
from builder.portable.build import build_inputs
from builder.portable.interpreter import examine, lock_python
from builder.portable.sources import LIST, Source, sources
from builder.resolve import resolve
from builder.stage import stage_release
from builder.tarball import pack_folder
from payload.digest import hex_of
from payload.errors import InputError
from payload.events import NullSink
from payload.lock import Lock
from repos.signing import open_rpm_key
from tests.unit.builder.product import Site, sha256

ANSWERS = f'#!/bin/sh\nexec {sys.executable} "$@"\n'
"""Stands for an interpreter: it answers, with this machine's Python."""


def archive(folder: Path, program: str = ANSWERS) -> Path:
    """An archive in the layout of python-build-standalone."""
    place = folder / "in/python/bin"
    place.mkdir(parents=True)
    (place / "python3.11").write_text(program)
    (place / "python3.11").chmod(0o755)
    (place / "python3").symlink_to("python3.11")
    pack_folder(folder / "in", folder / "python.tar.gz")
    shutil.rmtree(folder / "in")
    return folder / "python.tar.gz"


def bring(site: Site, origin: str, digest: str, *, bundled: bool = False) -> None:
    """Have the product's manifest name the archive."""
    python = 'python = "bundled"\n' if bundled else ""
    runtime = f'[runtime]\npython = "portable"\n{origin}\nsha256 = "{digest}"\n\n[server]\n{python}'
    site.rewrite("[server]\n", runtime)


def locked(site: Site) -> Lock:
    loaded = load_manifest(site.manifest)
    made = resolve(loaded, site.store, NullSink())
    write_lock(site.folder / "bundle.lock", made.lock, made.documents)
    return read_lock(loaded)


@pytest.mark.parametrize("origin", ['path = "python.tar.gz"', 'url = "file://{}/python.tar.gz"'])
def test_a_given_python_is_locked_and_taken_again(site: Site, wheels: Path, origin: str) -> None:
    file = archive(site.folder)
    bring(site, origin.format(site.folder), hex_of(sha256(file)))
    lock = locked(site)
    assert lock.python is not None
    assert (str(lock.python.version), lock.python.digest) == (platform.python_version(), sha256(file))
    assert lock_text(lock).count('"python": {"version"') == 1
    site.store.path(lock.python.digest).unlink()
    fetch(load_manifest(site.manifest), lock, site.store, NullSink())
    assert sha256(site.store.path(lock.python.digest)) == sha256(file)


def test_a_bundled_python_is_in_the_release_and_with_each_agent(site: Site, wheels: Path, tmp_path: Path) -> None:
    file = archive(site.folder)
    bring(site, 'path = "python.tar.gz"', hex_of(sha256(file)), bundled=True)
    site.rewrite('python = ">=3.11"\n', "")
    lock, loaded = locked(site), load_manifest(site.manifest)
    none = open_rpm_key(tmp_path / "no.gpg")
    tree = stage_release(loaded, lock, site.store, documents={}, rpm_key=none, scratch=tmp_path, sbom="")
    found = {staged.path for staged in tree if staged.path.endswith("/python.tar.gz")}
    agents = {f"agents/{agent.name}/python.tar.gz" for agent in loaded.manifest.agents}
    assert found == {"tools/python.tar.gz", *agents}


def test_another_file_than_the_manifest_says_is_refused(site: Site) -> None:
    archive(site.folder)
    bring(site, 'path = "python.tar.gz"', "0" * 64)
    with pytest.raises(InputError) as caught:
        lock_python(load_manifest(site.manifest), site.store, NullSink())
    assert caught.value.code == "python-differs"


@pytest.mark.parametrize(
    "program", ["#!/bin/sh\nexit 3\n", "#!/nonexistent\n", '#!/bin/sh\necho \'["pypy", "3.11", "x86_64"]\'\n']
)
def test_what_is_no_usable_python_is_refused(program: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        examine(archive(tmp_path, program))
    assert caught.value.code == "python-unusable"


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    for name, content in (("text", b"hello"), ("cut", archive(tmp_path).read_bytes()[:100])):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError) as caught:
            examine(tmp_path / name)
        assert caught.value.code == "archive-unusable"


def test_the_list_of_sources_is_read_and_is_part_of_what_is_built() -> None:
    listed = sources(LIST.read_text())
    assert len({source.name for source in listed}) == len(listed) == 11
    assert listed[0] == Source(listed[0].digest, listed[0].name)
    assert listed[1].place.startswith("main/p/python3.13/")
    text = build_inputs().decode()
    assert "build.sh sha256:" in text
    assert "sources.txt sha256:" in text
