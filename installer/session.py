"""What every run on a host begins with: open, verify, look at the state of the host."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import chain, count
from pathlib import Path

from installer.dialogue import Dialogue
from installer.keyring import remembered
from installer.layout import Layout
from installer.opened import Opened, open_verified
from installer.request import Request
from installer.state import State, load_state
from installer.steps import Host, Runner
from installer.steps.files import NewFile
from payload import effects
from payload.events import Sink


@dataclass(frozen=True, slots=True)
class Session(Opened):
    """A verified bundle on a host."""

    layout: Layout
    state: State | None
    dialogue: Dialogue | None
    host: Host = field(repr=False)

    @property
    def name(self) -> str:
        """The product's name."""
        return self.layout.product


def open_session(
    request: Request,
    path: Path,
    sink: Sink,
    dialogue: Dialogue | None,
    *,
    root: Path = Path("/"),
    run: Runner = effects.run,
) -> Session:
    """Open and verify the bundle at `path`.

    Raises:
        IntegrityError: bundle or state is damaged.
        TrustError: no trusted key signed the bundle.
    """
    ask = dialogue.confirm_keys if dialogue is not None else None
    opened = open_verified(request, path, sink, ask, root=root)
    name = opened.bundle.index.manifest.product.name
    state = load_state(Layout.of(name, root=root))
    layout = place(name, state, request, root)
    host = Host(scratch=layout.state_dir, sink=sink, run=run, bundle=opened.bundle)
    return Session(
        request,
        opened.bundle,
        opened.trusted,
        sink,
        opened.program,
        layout=layout,
        state=state,
        dialogue=dialogue,
        host=host,
    )


def place(name: str, state: State | None, request: Request, root: Path) -> Layout:
    """Where the product lies, or will: an installed one stays where it is."""
    return Layout.of(name, Path(state.prefix) if state else request.prefix, root)


def new_trust(session: Session) -> NewFile | None:
    """What the host will remember of whose bundles it takes; None when it knows all of it."""
    before = session.trusted.host
    after = remembered(session.bundle, before)
    return None if after == before else NewFile(session.layout.trust_file, after.to_text(), 0o600)


def new_run(layout: Layout) -> str:
    """A name for a run that nothing of an earlier one has: the time, and a number if that second was there before, by
    a clock that was set back or by two runs within it. It is a label: no order is told by it."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    names = chain((stamp,), (f"{stamp}-{n}" for n in count(2)))
    return next(name for name in names if not any(path.exists() for path in _left_by(layout, name)))


def _left_by(layout: Layout, run: str) -> tuple[Path, ...]:
    """What a run of that name leaves, or brought along in a backup of another host."""
    return layout.journal_dir / f"{run}.jsonl", log_path(layout, run), layout.kept(run)


def log_path(layout: Layout, run: str) -> Path:
    """The log of a run."""
    return layout.log_dir / f"install-{run}.log"
