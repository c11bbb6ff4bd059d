"""What the stub answers by itself, under every shell: the texts of the file, without its runtime."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payload.archive import VerifiedBundle, open_bundle
from payload.format import TRAILER_SIZE
from payload.texts import human_rows
from tests.contract.test_stub import SHELLS, write_bundle
from tests.unit.payload.mutations import EXAMPLES, Change, changed, changes

FILES = {
    "tools/x": b"x",
    "tools/text.txt": b"line\n" * 5000,
    "tools/a.whl": bytes(range(256)) * 50,
    "tools/with  blanks and *.whl": b"blanks",
    "tools/blanks and *.whl": b"fewer blanks",
    "tools/empty": b"",
    "tools/caf\u00e9.rpm": b"latin",
}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("instant answers"), files=FILES)


def verified(path: Path) -> VerifiedBundle:
    unverified = open_bundle(path)
    return unverified.verify(unverified.claimed.keyring)


def ask(shell: str, *words: str | Path, **env: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run([*SHELLS[shell], *words], capture_output=True, check=False, timeout=60, env=os.environ | env)


@pytest.mark.parametrize("shell", SHELLS)
def test_help_info_and_list_are_the_files_own_texts(shell: str, bundle: Path, tmp_path: Path) -> None:
    genuine = verified(bundle)
    texts = {
        "--help": genuine.text(genuine.index.help).replace("@program@", bundle.name),
        "--info": genuine.text(genuine.index.info),
        "--list": "".join(f"{row}\n" for row in human_rows(genuine.text(genuine.index.listing))),
    }
    for option, text in texts.items():
        done = ask(shell, bundle, option, TMPDIR=str(tmp_path))
        assert (done.returncode, done.stdout.decode(), done.stderr) == (0, text, b"")
    assert "--check verifies it" in texts["--info"] and "caf\u00e9" in texts["--list"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("path", FILES)
def test_one_file_comes_out_by_the_tools_of_the_host(shell: str, path: str, bundle: Path) -> None:
    done = ask(shell, bundle, "--cat", path)
    assert (done.returncode, done.stdout, done.stderr) == (0, FILES[path], b"")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_runtime_answers_what_the_stub_cannot(shell: str, bundle: Path, tmp_path: Path) -> None:
    for words in (["--cat", "x"], ["--cat", "*"], ["--cat", "tools/"], ["--info", "--json"], ["--list", "--key", "k"]):
        asked = "".join(f"[{word}]\n" for word in words)
        assert ask(shell, bundle, *words).stdout.decode() == f"bundle={bundle}\n{asked}"
    damaged = tmp_path / "damaged.bin"
    content = bundle.read_bytes()
    member = next(blob for blob in verified(bundle).index.blobs if blob.size == len(FILES["tools/a.whl"]))
    flipped = bytes([content[member.offset] ^ 1])
    damaged.write_bytes(content[: member.offset] + flipped + content[member.offset + 1 :])
    assert ask(shell, damaged, "--cat", "tools/a.whl").stdout.startswith(b"bundle="), (
        "damage is for the runtime to name"
    )
    for broken in (content[:-1], content[:-TRAILER_SIZE] + b"*" * TRAILER_SIZE, content[:-TRAILER_SIZE]):
        damaged.write_bytes(broken)
        assert ask(shell, damaged, "--list").stdout.startswith(b"bundle=")


@pytest.mark.parametrize("shell", ["dash", "bash"])
def test_a_changed_end_makes_the_stub_do_nothing_but_answer(shell: str, bundle: Path, tmp_path: Path) -> None:
    """It says something, or starts the runtime, which is checked; no other file comes to be, wherever it runs."""
    content = bundle.read_bytes()
    start = verified(bundle).index.help.offset
    path, scratch = tmp_path / "changed.bin", tmp_path / "scratch"
    scratch.mkdir()

    @settings(max_examples=EXAMPLES // 3)
    @given(changes(len(content) - start, [len(content) - start - TRAILER_SIZE]), st.sampled_from(["--list", "--info"]))
    def answers(made: list[Change], option: str) -> None:
        path.write_bytes(content[:start] + changed(content[start:], made))
        done = subprocess.run(
            [*SHELLS[shell], path, option],
            capture_output=True,
            check=False,
            timeout=60,
            cwd=scratch,
            env=os.environ | {"TMPDIR": str(scratch)},
        )
        assert done.returncode in {0, 2}, done.stderr
        assert {*tmp_path.iterdir()} == {path, scratch} and not any(scratch.iterdir())

    answers()
