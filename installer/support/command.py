"""`<product>-ctl collect`, which must work where nothing else does."""

from __future__ import annotations

from pathlib import Path

from installer.layout import Layout
from installer.lock import require_root
from installer.state import load_state
from installer.steps import Runner
from installer.support.collect import archive_name, collect
from installer.views import View
from payload import effects
from payload.errors import IntegrityError
from payload.events import Note, Sink


def collected(
    product: str, output: Path | None, sink: Sink, *, root: Path = Path("/"), run: Runner = effects.run
) -> View:
    """Write the support archive of `product` to `output`, or into the working folder, and say what is in it.

    Raises:
        UsageError: the caller is not root, or the archive cannot be made.
    """
    require_root()
    layout = Layout.of(product, root=root)
    try:
        state = load_state(layout)
    except IntegrityError as error:
        sink.emit(Note(f"{error.brief}; going on with {layout.prefix}", "warning"))
    else:
        layout = Layout.of(product, Path(state.prefix) if state else None, root)
    done = collect(layout, output or Path.cwd() / archive_name(product), sink, run)
    body = {
        "archive": str(done.archive),
        "bytes": done.archive.stat().st_size,
        "texts": done.texts,
        "removed": done.removed,
        "missing": list(done.missing),
    }
    lines = (
        f"{done.archive}: {done.texts} texts, secrets removed in {done.removed} places",
        *(f"  not there: {each}" for each in done.missing),
        "Look through it before you send it: tar -tzf, and contents.json inside.",
    )
    return View(body, lines)
