"""Looking at several nodes: the bundle is real, the way to the nodes is not."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from installer.nodes.commands import preflight_view
from installer.nodes.examine import examine_nodes, words_for
from installer.nodes.excerpt import needed, pack_excerpt
from installer.nodes.inventory import Inventory, Node
from installer.opened import Opened, open_verified
from installer.request import Request
from payload import effects
from payload.archive import open_bundle
from payload.errors import CommandError
from payload.events import NullSink
from payload.signing import PrivateKey
from payload.trust import Keyring
from tests.unit.installer.nodes.remotes import Here

REQUEST = Request(action="preflight", offline=True)
NODES = Inventory(hosts=tuple(Node(name=f"n{number}", address=f"10.0.0.{number}") for number in (1, 2, 3)))
REPORT = {
    "product": "app",
    "version": "1.0.0",
    "host": "real-name",
    "mode": "install",
    "fits": True,
    "findings": [],
    "passed": [{"id": "root", "about": "only root"}],
}
MISFIT = {"id": "port", "seen": "java listens", "wanted": "free", "fix": "kill it", "strict": True}


@pytest.fixture
def opened(tmp_path: Path, bundles: dict[str, Path], key: PrivateKey) -> Opened:
    keys = tmp_path / "etc/app/trusted-keys.d"
    keys.mkdir(parents=True)
    (keys / "vendor.pub").write_text(key.public.to_text())
    return open_verified(REQUEST, bundles["1.0.0"], NullSink(), root=tmp_path)


def saying(body: object, code: int = 0) -> Here:
    """Nodes whose installer prints `body`."""

    def answer(node: Node, argv: tuple[str, ...]) -> effects.Completed | None:
        return effects.Completed(argv, code, json.dumps(body), "\x1b[2Jtold you") if argv[0] == "bash" else None

    return Here(answer)


def test_all_nodes_are_looked_at_with_a_part_of_the_bundle_and_nothing_stays(opened: Opened) -> None:
    remote = saying(REPORT)
    found = examine_nodes(opened, NODES, remote)
    assert [(each.node.name, each.fits) for each in found] == [("n1", True), ("n2", True), ("n3", True)]
    (run,) = [call for call in remote.calls if call[:2] == ("n1", "bash")]
    assert run[3:] == ("-o", "--preflight", "--json")
    assert run[2].endswith(opened.bundle.path.name) and not Path(run[2]).parent.exists()


def test_a_node_that_is_gone_keeps_no_other_from_being_looked_at(opened: Opened) -> None:
    remote = saying(REPORT)
    remote.gone = frozenset({"n2"})
    found = examine_nodes(opened, NODES, remote)
    assert [each.fits for each in found] == [True, False, True]
    assert "n2 (10.0.0.2) cannot be asked" in found[1].problem and "ssh -p 22 root@10.0.0.2 true" in found[1].problem


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (REPORT, 11, "ended with 11"),
        (REPORT | {"version": "9"}, 0, "reports on app 9"),
        (REPORT | {"host": "\x1b[2J"}, 0, "host:"),
        ({"fits": True}, 0, "gave no report"),
        ([], 20, "gave no report"),
    ],
)
def test_what_a_node_says_is_not_believed_blindly(opened: Opened, body: object, code: int, said: str) -> None:
    (found, *_) = examine_nodes(opened, NODES, saying(body, code))
    assert not found.fits and said in found.problem and "n1" in found.problem
    assert "\x1b" not in found.problem


def test_one_table_over_all_nodes(opened: Opened) -> None:
    def answer(node: Node, argv: tuple[str, ...]) -> effects.Completed | None:
        body: dict[str, Any] = REPORT if node.name == "n1" else REPORT | {"fits": False, "findings": [MISFIT]}
        return effects.Completed(argv, 0, json.dumps(body), "") if argv[0] == "bash" else None

    view = preflight_view(examine_nodes(opened, NODES, Here(answer, gone=frozenset({"n3"}))))
    assert view.lines[:4] == (
        "node  must  advice  passed  verdict",
        "n1       0       0       1  this host fits: install can go on",
        "n2       1       0       1  this host does not fit; nothing was changed",
        "n3       0       0       0  cannot be looked at",
    )
    assert "  ✘ port: java listens" in view.lines
    assert view.body["fits"] is False
    assert [host["name"] for host in view.body["hosts"]] == ["n1", "n2", "n3"]
    assert view.body["hosts"][2]["report"] is None and "cannot be asked" in view.body["hosts"][2]["problem"]


def test_the_excerpt_is_a_bundle_of_which_only_large_members_are_missing(
    opened: Opened, tmp_path: Path, key: PrivateKey
) -> None:
    archive = tmp_path / "excerpt.tar.gz"
    pack_excerpt(opened.bundle, archive)
    there = tmp_path / "there"
    there.mkdir()
    effects.run(("tar", "-C", there, "-xzf", archive))
    copy = there / opened.bundle.path.name
    assert copy.stat().st_size == opened.bundle.size
    assert archive.stat().st_size < opened.bundle.size / 4
    bundle = open_bundle(copy).verify(Keyring(keys=(key.public,)))
    assert bundle.digest == opened.bundle.digest
    assert bundle.read("templates/config/app.toml.j2") == opened.bundle.read("templates/config/app.toml.j2")
    parts = list(needed(opened.bundle))
    assert parts[0][0] == 0 and sum(parts[-1]) == opened.bundle.size
    assert sum(size for _, size in parts) < opened.bundle.size / 2


def test_options_and_their_files_go_to_the_nodes(tmp_path: Path) -> None:
    request = Request(
        action="preflight",
        upgrade=True,
        mirror="aliyun",
        prefix=Path("/srv"),
        key=tmp_path / "a.pub",
        allow_removals=True,
        allow_irreversible=True,
    )
    assert words_for(request, lambda file: f"/there/{file.name}") == (
        *("-u", "--allow-removals", "--allow-irreversible", "-R", "aliyun", "-r", "/srv", "--key", "/there/a.pub"),
    )


def test_a_flood_of_output_is_cut_off() -> None:
    with pytest.raises(CommandError, match="exited with 125"):
        effects.run(("yes",), limit=1 << 20, timeout=30)
    done = effects.run(("sh", "-c", "echo out; echo err >&2; exit 3"), limit=100, check=False)
    assert (done.returncode, done.output, done.errors) == (3, "out\n", "err\n")
    with pytest.raises(CommandError, match="exited with 124"):
        effects.run(("sleep", "9"), limit=100, timeout=0.2)
