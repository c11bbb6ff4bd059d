"""A run of a bundle that may change the host: decide, examine, plan, ask, act, report."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from installer.answers import Answers, Sources, read_answers_file, read_kept, resolve
from installer.config_ahead import config_result, shipped_config
from installer.cut_off import asked_by, settled
from installer.elsewhere import configured, copyable, dump_size
from installer.examining import examine_host, look
from installer.facts.accounts import homes
from installer.lock import exclusive, require_root
from installer.logged import run_logged
from installer.mirror_choice import with_own_mirrors
from installer.offer import Offer, installed_offer, make_offer
from installer.outlook import NOTHING_TO_DO, Outlook, Wish, look_ahead
from installer.packages import check_left_packages, kept_packages
from installer.parts import Chosen, Site
from installer.plan import Mode, Plan
from installer.planning import plan_install, plan_repair, plan_upgrade
from installer.preflight import Finding, Result, findings_of, report_lines
from installer.recovery import unfinished
from installer.report import final_report
from installer.rules import (
    Meaning,
    check_downgrade,
    check_irreversible,
    check_replay,
    choose_base,
    chosen_mirror,
    decide,
)
from installer.session import Session, new_run, new_trust
from installer.state import State, load_state
from installer.steps.packages import BUNDLE_NAME, FOLDER_NAME
from installer.steps.service import active_units, unit_states
from installer.steps.stage import BaseRelease
from installer.surroundings import look_around
from installer.survey import missing_packages, survey
from installer.traces import Traces
from payload.errors import BusyError, IntegrityError, PreflightError, UsageError
from payload.events import Note
from payload.trust import names
from repos.dialect import Source
from repos.dnf import detect
from repos.offline import bundle_id


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that is known before anything is changed. `plan` is None when there is nothing to do."""

    plan: Plan | None
    mode: Mode
    offer: Offer
    answers: Answers
    results: tuple[Result, ...] = ()
    """Of all checks; none were made when there is nothing to do."""
    notes: tuple[str, ...] = ()
    outlook: Outlook = NOTHING_TO_DO

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What does not fit, strict first."""
        return findings_of(self.results)


def install(session: Session) -> tuple[str, ...]:
    """Carry the request out and return the report.

    Raises:
        SealiftError: it was refused, or failed; the type says what became of the host.
    """
    require_root()
    session, finished = settled(session)
    if finished:
        return finished
    prepared = prepare(session, os.environ)
    for finding in prepared.findings:
        if not finding.strict:
            session.sink.emit(Note("\n".join(report_lines((finding,))), "warning"))
    refuse(prepared.findings)
    if prepared.plan is None:
        return prepared.notes
    _confirm(session, prepared.plan, prepared.outlook)
    traces = Traces.before(session.layout, prepared.plan.run)
    with exclusive(session.layout):
        if load_state(session.layout) != session.state or unfinished(session.layout):
            raise BusyError("state-changed", "another run changed this host meanwhile", remedy="run the command again")
        try:
            return _run(session, prepared, prepared.plan)
        except IntegrityError:  # staging found the bundle damaged: before the first thing that was not beside what runs
            traces.remove()
            raise


def prepare(session: Session, environment: Mapping[str, str]) -> Prepared:
    """Look at everything and plan. Changes nothing.

    Raises:
        UsageError: the request does not fit this host.
        InputError: answers are missing or wrong, or a template cannot be rendered.
        PreflightError: packages that the bundle leaves to this host are not there.
    """
    index = session.bundle.index
    chosen_base = choose_base(index.bases, session.state, index.manifest.product.version)
    meaning = decide(session.request, session.state, index.manifest, session.bundle.release, session.program)
    base = chosen_base and BaseRelease(chosen_base[0], session.layout.release(chosen_base[1]))
    if meaning != "same":
        check_replay(session.request, index.manifest, index.created, session.trusted.host, session.program)
        if index.left_to_host:
            check_left_packages(index, detect().headers())
    answers = _answers(session, environment, meaning)
    before = session.state.current if session.state else ""
    read = session.bundle.read
    elsewhere = configured(session.layout, index.manifest) if meaning in {"upgrade", "downgrade"} else None
    offer = make_offer(
        index,
        session.bundle.release,
        read,
        session.layout,
        answers.values,
        downgrade_to=before,
        rehearsal=elsewhere.rehearsal if elsewhere else None,
    )
    site = replace(_site(session, offer, base), elsewhere=copyable(elsewhere, session.sink))
    if meaning == "same":
        return _same_again(session, offer, answers, site)
    room = dump_size(site.elsewhere, session.layout, offer.manifest.user, session.host)
    chosen, results = _choose(session, meaning, offer, answers, room)
    if meaning == "install" or session.state is None:
        exists = offer.manifest.user in site.homes
        plan = plan_install(site, offer, chosen, user_exists=exists)
    else:
        newer = _installed_newer(session, session.state, offer) if meaning == "downgrade" else None
        plan = plan_upgrade(site, offer, chosen, session.state, newer)
    results += (config_result(plan, session.request.config_conflicts),)
    return Prepared(plan, meaning, offer, answers, results, outlook=chosen.outlook)


def refuse(findings: tuple[Finding, ...]) -> None:
    """Stop here when the host does not fit.

    Raises:
        PreflightError: there is a strict finding; lists all of them.
    """
    strict = tuple(finding for finding in findings if finding.strict)
    if strict:
        raise PreflightError(
            "host-does-not-fit",
            f"{len(strict)} things of this host do not fit; nothing was changed",
            details="\n".join(report_lines(strict)),
            remedy="put them right and run the same command again",
        )


def _same_again(session: Session, offer: Offer, answers: Answers, site: Site) -> Prepared:
    if session.state is None:
        raise UsageError("nothing-installed", "nothing is installed")
    found = survey(session.layout, offer, session.bundle.index)
    if not found.problems:
        states = unit_states(offer.startable, session.host)
        notes = (
            f"{offer.manifest.product.title} {offer.version} is installed and complete: nothing to do.",
            *(f"  {unit}: {state}" for unit, state in states.items()),
        )
        if any(state != "active" for state in states.values()):
            notes += (f"Stopped units are left stopped. To start them: {session.name}-ctl start",)
        return Prepared(None, "repair", offer, answers, notes=notes)
    for problem in found.problems:
        session.sink.emit(Note(problem, "warning"))
    chosen, results = _choose(session, "repair", offer, answers)
    plan = plan_repair(site, offer, chosen, session.state, venv=found.venv)
    return Prepared(plan, "repair", offer, answers, results, outlook=chosen.outlook)


def _installed_newer(session: Session, state: State, offer: Offer) -> Offer:
    """The installed release, when an older one is to follow it."""
    record = state.current_record
    newer = installed_offer(
        session.layout, record.version, record.bundle, state.answers, downgrade_to=str(offer.version)
    )
    known = state.release(offer.version)
    check_downgrade(newer.manifest, offer.version, lies_here=known is not None and known.config_snapshot is not None)
    return newer


def _answers(session: Session, environment: Mapping[str, str], meaning: Meaning) -> Answers:
    request, state = session.request, session.state
    questions = session.bundle.index.manifest.answers
    if meaning != "install":  # secrets that only a first install's set-up reads are not asked for again
        always = {each.stdin for each in session.bundle.index.manifest.server.setup if each.when == "always"}
        later = set() if meaning == "same" else always
        questions = tuple(each for each in questions if not each.secret or each.name in later)
    dialogue = session.dialogue if not request.yes and request.action == "install" else None
    sources = Sources(
        file={} if request.answers_file is None else read_answers_file(request.answers_file),
        environment=environment,
        stored=state.answers if state else {},
        kept=read_kept(session.layout.config_dir, questions),
        ask=dialogue.answer if dialogue else None,
    )
    return resolve(session.bundle.index.manifest.answers, questions, sources)


def _choose(
    session: Session, mode: Mode, offer: Offer, answers: Answers, room: int = 0
) -> tuple[Chosen, tuple[Result, ...]]:
    """Where packages come from and what installing them does, and what of the host does not fit; `room` is for a copy
    of a database elsewhere.

    The package manager is asked only on a host that fits otherwise.
    """
    mirror, bundle_first = chosen_mirror(session.request, session.state)
    missing = missing_packages(offer)
    facts = look(session, offer)
    examine = partial(examine_host, session, mode, offer, facts, packages=missing != (), dump_size=room)
    results = examine()
    outlook = NOTHING_TO_DO
    if missing is not None and not any(finding.strict for finding in findings_of(results)):
        state = session.state
        own = state.packages_added if state else ()
        at_hand = kept_packages(session.layout.release(state.current) if state else offer.release)
        wish = Wish(missing, mirror, offer.release, own, bundle_first, session.request.allow_removals, at_hand)
        outlook = _look_ahead(session, offer, wish)
        results = examine(preview=outlook.preview)
    older = _older_source(session, offer)
    shipped = shipped_config(session.layout, session.state) if session.state else {}
    return Chosen(answers.values, answers.generated, outlook, older, mirror, bundle_first, shipped), results


def _look_ahead(session: Session, offer: Offer, wish: Wish) -> Outlook:
    manifest = with_own_mirrors(offer.manifest, session.layout.mirrors_dir, session.request.mirrors_file)
    if not offer.has_packages:
        return NOTHING_TO_DO
    return look_ahead(session.bundle, manifest, wish, detect(), session.sink)


def _older_source(session: Session, offer: Offer) -> Source | None:
    """The private repository of the release that runs now."""
    state = session.state
    if state is None or state.current == offer.version:
        return None
    reposdir = session.layout.release(state.current) / FOLDER_NAME
    name = bundle_id(state.product, state.current)
    return Source(reposdir, (name,)) if (reposdir / BUNDLE_NAME).is_file() else None


def _site(session: Session, offer: Offer, base: BaseRelease | None) -> Site:
    units = tuple(unit for unit in session.state.units if "@." not in unit) if session.state else ()
    users = {offer.manifest.user, *(key.authorize for key in offer.manifest.ssh_keys if key.authorize)}
    return Site(
        layout=session.layout,
        run=new_run(session.layout),
        stamp=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        homes=homes(users, session.host),
        active=not units or bool(active_units(units, session.host)),  # a release without units was not stopped
        start=session.request.start,
        trust=new_trust(session),
        base=base,
        surroundings=look_around(session.layout, session.host, wants_ports=bool(offer.ports)),
    )


def _confirm(session: Session, plan: Plan, outlook: Outlook) -> None:
    if session.dialogue is None or session.request.yes:
        check_irreversible(session.request, outlook.irreversible)
        return
    for line in (*plan.lines(), *outlook.lines()):
        session.sink.emit(Note(line))
    if not session.dialogue.confirm(f"{plan.mode} {plan.product} {plan.version} now?"):
        raise UsageError("declined", "nothing was changed", remedy="run it again when you are ready; -y does not ask")


def _run(session: Session, prepared: Prepared, plan: Plan) -> tuple[str, ...]:
    host = replace(session.host, secrets=prepared.answers.secrets)
    note = f"signed by {names(session.bundle.signers)}: {session.trusted.reason}"
    done = run_logged(plan, session.layout, host, note, asked_by(session, os.environ))
    generated = prepared.answers.generated
    return final_report(
        prepared.mode, session.layout, prepared.offer, generated=generated, before=session.state, done=done
    )
