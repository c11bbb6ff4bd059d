"""An upgrade of several nodes, over nodes that are played: everywhere or nowhere, wherever it is cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from packaging.specifiers import SpecifierSet

from installer.nodes import member
from installer.nodes.inventory import Inventory, Node
from installer.nodes.record import load_record, record_path
from installer.nodes.ssh import Remote, unreachable
from installer.nodes.upgrade import NodesUpgrade
from installer.opened import Opened, open_verified
from installer.request import Request
from payload import effects
from payload.errors import IntegrityError, NeedsOperatorError, SealiftError, StepError, UsageError
from payload.events import NullSink
from payload.signing import PrivateKey

NAMES = ("n1", "n2", "n3")
OLD, NEW = "1.0.0", "1.1.0"


class CutError(BaseException):
    """The power of the one who commands fails."""


@dataclass
class Played(Remote):
    """Nodes on one database. `ill`: nodes whose new release never answers; `gone`: nodes that nobody reaches;
    `cut_after`: so many calls happen before the power fails. `undoing`: nodes that say new, and are back at the old
    release once they were looked at so often."""

    versions: dict[str, str] = field(default_factory=lambda: dict.fromkeys(NAMES, OLD))
    running: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(NAMES, True))
    schema: str = OLD
    ill: frozenset[str] = frozenset()
    gone: frozenset[str] = frozenset()
    cut_after: int = 1 << 30
    cut: type[BaseException] = CutError
    undoing: dict[str, int] = field(default_factory=dict)
    acts: list[str] = field(default_factory=list)

    def run(self, node: Node, argv: Sequence[str], *, timeout: float, root: bool = True) -> effects.Completed:
        self._count()
        if node.name in self.gone:
            raise unreachable(node, "No route to host")
        code, output = self._answer(node.name, tuple(argv))
        self._check()
        return effects.Completed(tuple(argv), code, output, "no good" if code else "")

    def send(self, node: Node, file: Path, target: str) -> None:
        self._count()

    def _count(self) -> None:
        self.cut_after -= 1
        if self.cut_after < 0:
            raise self.cut

    def _check(self) -> None:
        """What no release may ever see: a database of another release under it."""
        assert all(self.versions[name] == self.schema for name in NAMES if self.running[name])

    def _answer(self, name: str, argv: tuple[str, ...]) -> tuple[int, str]:
        match argv:
            case ("mktemp", *_):
                return 0, f"/var/tmp/sealift-nodes-abcdefgh{name}\n"
            case ("bash", *_):
                self.acts.append(f"upgrade {name}")
                self.schema = self.versions[name] = NEW
            case (_, "status", "--json"):
                return 0, json.dumps(self._status(name))
            case (_, "stop"):
                self.acts.append(f"stop {name}")
                self.running[name] = False
            case (_, "start"):
                if name in self.ill and self.versions[name] == NEW:
                    return 30, ""
                self.running[name] = True
            case (_, "rollback", "--to", version, "-y"):
                self.acts.append(f"rollback {name}")
                self.schema = self.versions[name] = version
        return 0, ""

    def _status(self, name: str) -> dict[str, object]:
        looks = self.undoing.get(name, -1)
        self.undoing[name] = looks - 1
        if looks == 0:
            self.versions[name] = self.schema = OLD
        return {
            "version": self.versions[name],
            "healthy": self.running[name],
            "busy": "4711" if looks > 0 else None,
            "unfinished": [],
        }


@pytest.fixture
def opened(tmp_path: Path, bundles: dict[str, Path], key: PrivateKey) -> Opened:
    keys = tmp_path / "etc/app/trusted-keys.d"
    keys.mkdir(parents=True)
    (keys / "vendor.pub").write_text(key.public.to_text())
    request = Request(action="install", upgrade=True, yes=True)
    return open_verified(request, bundles[NEW], NullSink(), root=tmp_path)


@dataclass
class Site:
    opened: Opened
    inventory: Path
    nodes: Played = field(default_factory=Played)
    shared: bool = True
    beside: bool = False

    def __post_init__(self) -> None:
        """With `beside`, the new release says that the old one works beside it."""
        if self.beside:
            bundle = copy(self.opened.bundle)
            manifest = bundle.index.manifest
            product = manifest.product.model_copy(update={"works_beside": SpecifierSet(f">={OLD},<{NEW}")})
            manifest = manifest.model_copy(update={"product": product})
            bundle.index = replace(bundle.index, manifest_table=manifest.to_table())
            self.opened = replace(self.opened, bundle=bundle)

    def play(self, **how: Any) -> None:
        """Begin anew with nodes that run the old release."""
        self.nodes = Played(**how)
        if self.beside:
            self.nodes._check = self._check_beside  # type: ignore[method-assign]

    def _check_beside(self) -> None:
        """A release works on its own schema, and the old one on the new one's."""
        running = [name for name in NAMES if self.nodes.running[name]]
        assert all(self.nodes.versions[name] in {OLD, self.nodes.schema} for name in running)

    def upgrade(self) -> tuple[str, ...]:
        hosts = tuple(Node(name=name, address=f"10.0.0.{number}") for number, name in enumerate(NAMES, 1))
        inventory = Inventory(hosts=hosts, shared_database=self.shared)
        return NodesUpgrade(self.opened, inventory, self.nodes, record_path(self.inventory)).run()

    def assert_all(self, version: str) -> None:
        assert set(self.nodes.versions.values()) == {version} == {self.nodes.schema}
        assert all(self.nodes.running.values())
        assert load_record(record_path(self.inventory)) is None


@pytest.fixture
def site(opened: Opened, tmp_path: Path) -> Site:
    return Site(opened, tmp_path / "nodes.toml")


@pytest.fixture
def beside(opened: Opened, tmp_path: Path) -> Site:
    site = Site(opened, tmp_path / "nodes.toml", beside=True)
    site.play()
    return site


def test_all_nodes_are_upgraded_in_order(site: Site) -> None:
    assert site.upgrade() == tuple(f"{name}: 1.0.0 → 1.1.0" for name in NAMES)
    stops, upgrades = [f"stop {name}" for name in NAMES], [f"upgrade {name}" for name in NAMES]
    assert site.nodes.acts == [*stops, *upgrades]
    site.assert_all(NEW)
    assert site.upgrade() == ("all nodes have 1.1.0 already: nothing to do",)
    assert site.nodes.acts == [*stops, *upgrades]


@pytest.mark.parametrize("name", NAMES)
def test_a_node_that_stays_ill_takes_all_back(site: Site, name: str) -> None:
    site.nodes.ill = frozenset({name})
    with pytest.raises(StepError, match="all nodes run again what they had") as caught:
        site.upgrade()
    assert name in caught.value.details and caught.value.code == "nodes-rolled-back"
    site.assert_all(OLD)


def test_nodes_with_databases_of_their_own_go_on_while_others_are_upgraded(site: Site) -> None:
    site.shared = False
    site.nodes._check = lambda: None  # type: ignore[method-assign]
    site.upgrade()
    site.assert_all(NEW)


def test_nodes_whose_release_works_beside_the_new_one_go_on(beside: Site) -> None:
    beside.upgrade()
    beside.assert_all(NEW)
    assert beside.nodes.acts == ["upgrade n1", "upgrade n2", "upgrade n3"]


def test_when_a_later_node_fails_only_those_with_the_new_release_stop(beside: Site) -> None:
    beside.nodes.ill = frozenset({"n2"})
    with pytest.raises(StepError, match="all nodes run again what they had"):
        beside.upgrade()
    beside.assert_all(OLD)
    assert beside.nodes.acts == ["upgrade n1", "upgrade n2", *("stop n1", "stop n2", "rollback n1", "rollback n2")]


def test_all_stop_when_one_of_them_has_an_older_release(beside: Site) -> None:
    beside.nodes.versions["n3"] = "0.9.0"
    beside.nodes._check = lambda: None  # type: ignore[method-assign]
    beside.upgrade()
    assert beside.nodes.acts[:3] == ["stop n1", "stop n2", "stop n3"]


@pytest.mark.parametrize("ill", [frozenset(), frozenset({"n2"})])
@pytest.mark.parametrize("way", ["site", "beside"])
def test_cut_off_anywhere_it_ends_everywhere_or_nowhere(
    way: str, ill: frozenset[str], request: pytest.FixtureRequest
) -> None:
    site: Site = request.getfixturevalue(way)
    for calls in range(200):
        site.play(ill=ill, cut_after=calls)
        try:
            site.upgrade()
        except CutError:
            site.nodes.cut_after = 1 << 30
            try:
                site.upgrade()
            except StepError:
                assert ill
        except StepError:
            assert ill
            site.assert_all(OLD)
            return
        else:
            assert not ill
            site.assert_all(NEW)
            return
        site.assert_all(OLD if ill else NEW)
    raise AssertionError("it never ended by itself")


def test_who_stops_it_is_told_what_became_of_the_nodes(site: Site) -> None:
    """Before the first node was touched: that nothing was changed. Later: that the same command goes on."""
    seen = set()
    for calls in range(30):
        site.nodes = Played(cut_after=calls, cut=KeyboardInterrupt)
        try:
            site.upgrade()
        except KeyboardInterrupt:
            seen.add("nothing changed")
            assert not record_path(site.inventory).exists() and site.nodes.acts == []
        except NeedsOperatorError as error:
            seen.add(error.code)
            site.nodes.cut_after = 1 << 30
            site.upgrade()
            site.assert_all(NEW)
        else:
            break
    assert seen == {"nothing changed", "nodes-cut-off"}


def test_a_run_that_still_goes_back_on_a_node_is_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The node already says the new release, and is about to lose it: it must not be taken for upgraded."""
    monkeypatch.setattr(member, "_PAUSE", 0)
    site.nodes.undoing = {"n1": 3}
    site.nodes.versions["n1"] = site.nodes.schema = NEW
    site.nodes.running = {"n1": True, "n2": False, "n3": False}
    assert site.upgrade()[0] == "n1: 1.0.0 → 1.1.0"
    site.assert_all(NEW)


def test_a_node_that_starts_with_another_release_takes_all_back(site: Site) -> None:
    site.nodes._check = lambda: None  # type: ignore[method-assign]
    site.nodes._status = lambda name: {  # type: ignore[method-assign]
        "version": OLD if name == "n2" else site.nodes.versions[name],
        "healthy": True,
    }
    with pytest.raises(StepError, match="all nodes run again what they had") as caught:
        site.upgrade()
    assert "n2 was started, and runs 1.0.0 instead of 1.1.0" in caught.value.details


def test_an_unreachable_node_before_the_first_change_changes_nothing(site: Site) -> None:
    site.nodes.gone = frozenset({"n3"})
    with pytest.raises(UsageError, match="n3"):
        site.upgrade()
    assert site.nodes.acts == []
    site.nodes.gone = frozenset()
    site.assert_all(OLD)


def test_a_node_that_cannot_be_taken_back_is_named_and_taken_back_later(site: Site) -> None:
    site.nodes.ill = frozenset({"n2"})
    real = site.nodes._answer

    def answer(name: str, argv: tuple[str, ...]) -> tuple[int, str]:
        if name == "n1" and "rollback" in argv:
            return 31, ""
        return real(name, argv)

    site.nodes._answer = answer  # type: ignore[method-assign]
    site.nodes._check = lambda: None  # type: ignore[method-assign]
    with pytest.raises(NeedsOperatorError, match="not all nodes") as caught:
        site.upgrade()
    assert "n1: rollback ended with 31" in caught.value.details
    site.nodes._answer = real  # type: ignore[method-assign]
    site.nodes.ill = frozenset()
    with pytest.raises(StepError, match="run again what they had"):
        site.upgrade()
    site.assert_all(OLD)


@pytest.mark.parametrize("text", ["", "{", '{"format": 2}', "[]", '{"format": 1, "product": "../x"}'])
def test_a_damaged_record_is_refused(site: Site, text: str) -> None:
    record_path(site.inventory).write_text(text)
    with pytest.raises(IntegrityError, match="damaged"):
        site.upgrade()
    assert site.nodes.acts == []


def test_another_bundle_does_not_finish_an_upgrade(site: Site, bundles: dict[str, Path]) -> None:
    site.nodes.cut_after = 12
    with pytest.raises(CutError):
        site.upgrade()
    path = record_path(site.inventory)
    path.write_text(path.read_text().replace(site.opened.bundle.release, "sha256:" + "0" * 64))
    site.nodes.cut_after = 1 << 30
    with pytest.raises(SealiftError, match="was cut off"):
        site.upgrade()
