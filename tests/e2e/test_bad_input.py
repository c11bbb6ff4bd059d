"""What a host or an operator may hold out to a run: refused with a reason, and nothing is lost or changed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.crashing import UPGRADE, kill_at
from tests.e2e.product import version
from tests.e2e.state import OWN, State, look, settle
from tests.e2e.watching import JOURNALS
from tests.lab import Host, Lab, Snapshot

_NEWER = '{"record":"begun","format":99,"run":"r","plan_digest":"d","plan":{}}\n'
_IMPOSSIBLE = '{"record":"applied","n":3}\n'
_UNREADABLE = '{"record":"begun","format":1\x00\n{"record":"committed"}\n'


@pytest.fixture(scope="module")
def host(lab: Lab, installed: Snapshot) -> Iterator[tuple[Host, State]]:
    """A host on which 1.0.0 runs, and how it is."""
    host = lab.boot("offered", snapshot=installed)
    settle(host)
    yield host, look(host)
    lab.drop(host)


def assert_refused(host: tuple[Host, State], code: int, *texts: str, words: tuple[str, ...] = UPGRADE.words) -> None:
    """The run ends with `code`, says `texts`, and the host is as it was."""
    done = host[0].run(words, check=False)
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    for text in texts:
        assert text in said
    assert host[1].differences(look(host[0])) == [], said
    assert version(host[0]) == "1.0.0"


@pytest.mark.parametrize(
    ("content", "text"),
    [(_NEWER, "newer"), (_IMPOSSIBLE, "journal"), (_UNREADABLE, "journal")],
    ids=["newer", "impossible", "unreadable"],
)
def test_a_journal_that_nobody_can_act_on(host: tuple[Host, State], content: str, text: str) -> None:
    path = f"{JOURNALS}/20991231T235959Z.jsonl"
    host[0].write(path, content, 0o600)
    for words in (UPGRADE.words, ("sealift-ctl", "stop")):
        assert_refused(host, 10, text, path, words=words)
    assert host[0].read(path) == content
    host[0].run(["rm", path])


def test_a_journal_whose_tail_was_torn(host: tuple[Host, State]) -> None:
    kill_at(host[0], UPGRADE.words, "venv")
    host[0].sh(f"""printf '{{"record":"applied","n"' >>$(ls {JOURNALS}/*.jsonl | tail -1)""")
    assert_refused(host, 0, "that was cut off is undone", words=UPGRADE.undo)
    assert host[0].sh(f"find {OWN} -name undo") == ""


def test_a_host_of_another_architecture(host: tuple[Host, State]) -> None:
    assert_refused(host, 20, "arch", "i686", words=("setarch", "i686", *UPGRADE.words))


def test_a_host_with_another_system(host: tuple[Host, State]) -> None:
    host[0].sh(
        "sed 's/^ID=.*/ID=plan9/; /^ID_LIKE=/d' /etc/os-release >/run/other; mount --bind /run/other /etc/os-release"
    )
    try:
        done = host[0].run(UPGRADE.words, check=False)
    finally:
        host[0].sh("umount /etc/os-release")
    assert done.returncode == 20 and "plan9" in done.stderr, done.stdout + done.stderr
    assert host[1].differences(look(host[0])) == []


def test_answers_that_are_none(host: tuple[Host, State]) -> None:
    host[0].write("/run/answers.toml", "listen_port = 'many'\nno_such_question = 1\n")
    words = (*UPGRADE.words, "--config", "/run/answers.toml")
    assert_refused(host, 12, "listen_port", "no_such_question", words=words)
