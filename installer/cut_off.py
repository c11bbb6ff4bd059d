"""What a bundle does first on a host where a run was cut off."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace

from installer.answers import ENVIRONMENT_PREFIX, Sources, read_answers_file, read_kept, resolve
from installer.lock import exclusive
from installer.recovery import CutOff, obstacle, unfinished
from installer.request import Request
from installer.resuming import check_resumable, command_digest, go_on, nothing_to_do, put_back, waiting_run
from installer.session import Session, open_session
from installer.steps import Host
from payload.digest import Digest
from payload.errors import InputError
from payload.events import Note


def settled(session: Session) -> tuple[Session, tuple[str, ...]]:
    """The session after what was cut off was brought to an end, by going on with it or by putting it back.

    With a report, what was asked for is done by that: it was the command of the cut-off run, which went on.

    Raises:
        SealiftError: that failed; the type says what became of the host.
    """
    if not unfinished(session.layout):
        return session, ()
    with exclusive(session.layout):
        cut = waiting_run(session.layout)
        if cut is not None and _goes_on(session, cut):
            return session, _go_on(session, cut)
        session.sink.emit(Note("an earlier run was cut off; putting that right first", "warning"))
        for line in put_back(session.layout, session.host):
            session.sink.emit(Note(line))
    # What was read before, whose bundles this host takes among it, may be what the cut-off run had written.
    again = open_session(
        session.request,
        session.bundle.path,
        session.sink,
        session.dialogue,
        root=session.layout.root,
        run=session.host.run,
    )
    return again, ()


def finish(session: Session) -> tuple[str, ...]:
    """`--resume` and `--undo`: the one, or the other, and nothing else.

    Raises:
        UsageError: the run cannot go on with this bundle.
        SealiftError: it failed; the type says what became of the host.
    """
    if not unfinished(session.layout):
        return nothing_to_do(session.layout)
    with exclusive(session.layout):
        cut = waiting_run(session.layout)
        if cut is None or session.request.action == "undo":
            return put_back(session.layout, session.host)
        remedy = f"use that bundle, or put the run back: bash {session.program} --undo"
        check_resumable(cut, obstacle(cut, session.bundle.release), remedy)
        return _go_on(session, cut)


def asked_by(session: Session, environment: Mapping[str, str]) -> Digest | None:
    """Stands for what the operator asks for, without secrets; None if a file that it names cannot be read."""
    request, questions = session.request, session.bundle.index.manifest.answers
    hidden = {question.name for question in questions if question.secret}
    variables = {f"{ENVIRONMENT_PREFIX}{question.name.upper()}" for question in questions if not question.secret}
    try:
        answers = {} if request.answers_file is None else read_answers_file(request.answers_file)
        mirrors = "" if request.mirrors_file is None else request.mirrors_file.read_text(encoding="utf-8")
    except (InputError, OSError, ValueError):
        return None
    given = {name: repr(value) for name, value in answers.items() if name not in hidden}
    given |= {name: value for name, value in environment.items() if name.removesuffix("_FILE") in variables}
    return command_digest(session.bundle.release, _choices(request), mirrors, given)


def _choices(request: Request) -> tuple[object, ...]:
    """What of a request shapes the plan."""
    packages = (request.mirror, request.bundle_first, request.allow_removals, request.allow_irreversible)
    releases = (request.allow_older, request.allow_downgrade)
    return (request.upgrade, request.prefix, request.start, request.config_conflicts, *packages, *releases)


def _goes_on(session: Session, cut: CutOff) -> bool:
    if cut.begun.asked is None or cut.begun.asked != asked_by(session, os.environ):
        return False
    if obstacle(cut, session.bundle.release):
        return False
    if session.dialogue is None or session.request.yes:
        return True
    done, total = cut.steps
    return session.dialogue.confirm(f"{cut.what} was cut off after {done} of {total} steps. Go on (else it is undone)?")


def _go_on(session: Session, cut: CutOff) -> tuple[str, ...]:
    def secrets(names: frozenset[str]) -> Host:
        manifest, request = session.bundle.index.manifest, session.request
        questions = tuple(each for each in manifest.answers if each.name in names)
        sources = Sources(
            file={} if request.answers_file is None else read_answers_file(request.answers_file),
            environment=os.environ,
            kept=read_kept(session.layout.config_dir, questions),
            ask=None if session.dialogue is None or request.yes else session.dialogue.answer,
        )
        return replace(session.host, secrets=resolve(manifest.answers, questions, sources).secrets)

    return go_on(cut, session.layout, session.host, secrets)
