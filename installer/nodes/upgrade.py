"""One upgrade of all nodes: everywhere or nowhere.

Node by node, each healthy before the next. Nodes of one database all stop before the first migrates it, unless the
product says that their release works beside the new one. What fails takes all back. A run that was cut off goes on, or
goes on going back, when the same command is given again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from installer.nodes.examine import words_for
from installer.nodes.inventory import Inventory, Node
from installer.nodes.member import Member
from installer.nodes.record import Record, load_record, remove_record, save_record
from installer.nodes.ssh import Remote, printable
from installer.nodes.visit import Visit, visiting
from installer.opened import Opened
from payload.errors import NeedsOperatorError, SealiftError, StepError, UsageError
from payload.events import Note, stage

_PATIENCE = 7200.0
"""Seconds until one node is upgraded."""


@dataclass(frozen=True, slots=True)
class NodesUpgrade:
    """All that an upgrade of `inventory` needs. `record` is where its record lies."""

    opened: Opened
    inventory: Inventory
    remote: Remote
    record: Path

    @property
    def members(self) -> tuple[Member, ...]:
        """The product on each node, in the inventory's order."""
        product = self.opened.bundle.index.manifest.product.name
        return tuple(Member(self.remote, node, product) for node in self.inventory.hosts)

    def begin(self) -> Record:
        """The record of the upgrade that was cut off, or of a new one.

        Raises:
            UsageError: another upgrade was cut off.
            SealiftError: a node cannot be asked.
        """
        bundle, product = self.opened.bundle, self.opened.bundle.index.manifest.product
        earlier = load_record(self.record)
        if earlier is not None:
            if earlier.bundle != bundle.release:
                raise UsageError(
                    "other-upgrade",
                    f"an upgrade of these nodes to {earlier.to} was cut off",
                    details=str(self.record),
                    remedy="finish it with its bundle first",
                )
            if missing := set(earlier.before) - {node.name for node in self.inventory.hosts}:
                raise UsageError(
                    "nodes-missing", f"the inventory lacks nodes of that upgrade: {', '.join(sorted(missing))}"
                )
            return earlier
        before = {member.node.name: member.status().version for member in self.members}
        return Record(product=product.name, bundle=bundle.release, to=str(product.version), before=before)

    def run(self) -> tuple[str, ...]:
        """Upgrade all nodes; returns the report.

        Raises:
            StepError: a node failed; all nodes have again what they had.
            NeedsOperatorError: a node failed, and not all could be taken back; or the operator stopped it half-way.
            SealiftError: nothing was changed.
        """
        record = self.begin()
        try:
            return self._run(record)
        except KeyboardInterrupt as error:
            if not self.record.exists():
                raise
            raise NeedsOperatorError(
                "nodes-cut-off",
                "the upgrade was stopped before it was over: nodes may have different releases, or be stopped",
                details=f"what each of them had: {self.record}",
                remedy="run the same command again: it goes on, or goes on going back",
            ) from error

    def _run(self, record: Record) -> tuple[str, ...]:
        if record.undoing:
            self._go_back(record, "an upgrade that had failed was cut off while it went back")
        report = tuple(f"{name}: {version} → {record.to}" for name, version in record.before.items())
        waiting = [member for member in self.members if member.status().version != record.to]
        if not waiting and not self.record.exists():
            return (f"all nodes have {record.to} already: nothing to do",)
        with ExitStack() as stack:
            calls = {member.node.name: self._sent(stack, member.node) for member in waiting}
            save_record(self.record, record)
            try:
                self._go_on(record, calls)
            except SealiftError as error:
                self._go_back(record, str(error))
        remove_record(self.record)
        return report

    def _sent(self, stack: ExitStack, node: Node) -> tuple[Visit, Sequence[str]]:
        """The bundle lies on `node`: the visit there, and the call that upgrades it."""
        visit = stack.enter_context(visiting(self.remote, node))
        with stage(self.opened.sink, f"send-{node.name}", f"send the bundle to {node.name}"):
            path = visit.send(self.opened.bundle.path)
        request = replace(self.opened.request, upgrade=True)
        return visit, ("bash", path, "-y", *words_for(request, visit.send))

    def _go_on(self, record: Record, calls: Mapping[str, tuple[Visit, Sequence[str]]]) -> None:
        """Upgrade the nodes that `calls` has; start those too that were upgraded before a cut."""
        for member in self.members if self._all_stop(record) else ():
            if member.node.name in calls:
                self._note(member, "stops: the database is about to change")
                member.stop()
        for member in self.members:
            name = member.node.name
            with stage(self.opened.sink, f"upgrade-{name}", f"upgrade {name}"):
                if name in calls:
                    _upgrade(*calls[name])
                member.start(record.to)

    def _go_back(self, record: Record, why: str) -> None:
        """Take all nodes back.

        Raises:
            StepError: all nodes have again what they had.
            NeedsOperatorError: not all could be taken back.
        """
        self.opened.sink.emit(Note(f"going back on all nodes: {why}", "warning"))
        save_record(self.record, record.model_copy(update={"undoing": True}))
        changed = [member for member in self.members if record.before[member.node.name] != record.to]
        left: list[str] = []
        if self.inventory.shared_database:
            stop = Member.stop if self._all_stop(record) else partial(_stop_newer, record)
            left += _each(changed, stop)
        left += _each(changed, partial(_take_back, record))
        left += _each(changed, lambda member: member.start(record.before[member.node.name]))
        if left:
            raise NeedsOperatorError(
                "nodes-not-undone",
                "the upgrade failed, and not all nodes could be taken back",
                details="\n".join((why, *left)),
                remedy="see to these nodes, then run the same command again: it goes on going back",
            )
        remove_record(self.record)
        raise StepError(
            "nodes-rolled-back",
            "the upgrade failed; all nodes run again what they had",
            details=why,
            remedy="mend what is named here and run the same command again",
        )

    def _all_stop(self, record: Record) -> bool:
        """Nodes share a database, and not all that they had works beside the new release."""
        beside = self.opened.bundle.index.manifest.product.works_beside
        older = {before for before in record.before.values() if before != record.to}
        fits = beside is not None and all(beside.contains(version, prereleases=True) for version in older)
        return self.inventory.shared_database and not fits

    def _note(self, member: Member, text: str) -> None:
        self.opened.sink.emit(Note(f"{member.node.name}: {text}"))


def _upgrade(visit: Visit, argv: Sequence[str]) -> None:
    done = visit.run(argv, timeout=_PATIENCE)
    if done.returncode != 0:
        said = printable(done.errors)
        raise StepError("node-failed", f"{visit.node.name}: its upgrade ended with {done.returncode}", details=said)


def _stop_newer(record: Record, member: Member) -> None:
    if member.status().version == record.to:
        member.stop()


def _take_back(record: Record, member: Member) -> None:
    if member.status().version == record.to:
        member.roll_back(record.before[member.node.name])


def _each(members: Sequence[Member], act: Callable[[Member], None]) -> Iterator[str]:
    """Do it on each, whatever happens on others; what went wrong."""
    for member in members:
        try:
            act(member)
        except SealiftError as error:
            yield str(error)
