"""What of the current release drifted on this host, found without changing anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from installer import parts
from installer.drift import expected
from installer.drift.anchor import TemplateDamagedError, anchored_index, anchored_offer
from installer.drift.compare import compare
from installer.drift.environment import environment_files, python_files, runtime_files
from installer.drift.model import Finding, Part, Wanted
from installer.drift.packages import package_findings
from installer.drift.surroundings import surroundings_findings
from installer.installed import Installed, site_of
from installer.offer import Offer
from installer.parts import Site
from installer.recovery import unfinished
from installer.steps.sshkey import marked_lines
from installer.steps.units import enabled_units
from payload.errors import IntegrityError
from payload.model import PYTHON_ARCHIVE, PYTHON_FOLDER, Index
from payload.version import Version
from repos.dnf import detect

WHEELS = "wheels/server"


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found. `compared`: so many files, folders and links. `offer` is None when it cannot be rendered."""

    version: Version
    offer: Offer | None
    compared: int
    findings: tuple[Finding, ...]

    @property
    def drift(self) -> tuple[Finding, ...]:
        """Without what an operator may do."""
        return tuple(finding for finding in self.findings if finding.drift)


def verify(installed: Installed) -> Verified:
    """Compare the host with its current release. Every content is read once, but wheels and archives that others are
    compared with.

    Raises:
        IntegrityError: the release's own list of its files is not what was installed: nothing can be told then.
        CommandError: a program of the host that has to be asked fails.
    """
    index = anchored_index(installed)
    release, version = installed.layout.release(installed.state.current), installed.state.current
    present = frozenset(entry.path for entry in index.entries if (release / entry.path).is_file())
    site = site_of(installed, index.manifest)
    offer: Offer | None = None
    wanted = [expected.current_link(installed.layout, version)]
    findings = list(_runs(installed))
    try:
        offer = anchored_offer(installed, index)
    except TemplateDamagedError as error:
        findings.append(_unchecked("unit", "units, links, folders and configuration", error))
    else:
        wanted += _outside(site, offer, installed)
    all_packages = index.manifest.repository.serve is not None
    wanted += expected.release_files(release, index, present, all_packages=all_packages)
    findings += compare(wanted, installed.sink, "files of the release and what was made of it")
    bad = {finding.subject for finding in findings if finding.fix == "bundle"}
    made, unread = _made(release, index, bad)
    findings += unread
    findings += compare(made, installed.sink, "files of its environment")
    if offer is not None:
        findings += _units(installed, offer)
        findings += _admissions(site, offer)
        findings += surroundings_findings(offer, installed.host)
        if offer.has_packages:
            findings += package_findings(detect(), offer, index, mirror=installed.state.mirror)
    return Verified(version, offer, len(wanted) + len(made), tuple(findings))


def _outside(site: Site, offer: Offer, installed: Installed) -> Iterator[Wanted]:
    layout = site.layout
    there = {answer.name: (layout.config_dir / answer.name).exists() for answer in offer.manifest.answers}
    yield from expected.rendered(site, offer)
    yield from expected.configuration(offer, installed.state.current_record)
    yield from expected.secrets(layout, offer, there)


def _made(release: Path, index: Index, bad: set[str]) -> tuple[list[Wanted], list[Finding]]:
    """What was made from files of the release; only sound ones say what is wanted."""
    wanted = list(runtime_files(release / "runtime", release / "runtime/sealift-runtime"))
    findings: list[Finding] = []
    if index.manifest.brings_python:
        if str(release / PYTHON_ARCHIVE) in bad:
            findings.append(_from_damaged("python", release / PYTHON_FOLDER))
        else:
            wanted += python_files(release / PYTHON_ARCHIVE, release / PYTHON_FOLDER)
    if any(Path(path).is_relative_to(release / WHEELS) for path in bad):
        return wanted, [*findings, _from_damaged("environment", release / "venv")]
    if not (release / "venv/bin/python").exists():
        text = "the environment's Python is not there"
        findings.append(Finding("missing", "environment", str(release / "venv/bin/python"), text, "host"))
    try:
        wanted += environment_files(release / "venv", release / WHEELS)
    except IntegrityError as error:
        findings.append(_unchecked("environment", str(release / "venv"), error))
    return wanted, findings


def _units(installed: Installed, offer: Offer) -> Iterator[Finding]:
    enabled = enabled_units(offer.startable, installed.host)
    for name in offer.startable:
        if name not in enabled:
            yield Finding("disabled", "unit", name, "it does not start with the host", "host")


def _admissions(site: Site, offer: Offer) -> Iterator[Finding]:
    for step in parts.ssh_keys(site, offer):
        if step.admission is not None and not marked_lines(step.admission):
            text = "it does not let the product's key in any more"
            yield Finding("changed", "key", str(step.admission.authorized_keys), text, "host")


def _runs(installed: Installed) -> Iterator[Finding]:
    for cut in unfinished(installed.layout):
        text = "a run is at work, or was cut off: what differs may be its doing"
        yield Finding("unfinished", "run", str(cut.path), text, "operator")


def _from_damaged(part: Part, path: Path) -> Finding:
    text = "what it was made from is damaged, so it cannot be told"
    return Finding("unchecked", part, str(path), text, "bundle")


def _unchecked(part: Part, subject: str, error: IntegrityError) -> Finding:
    return Finding("unchecked", part, subject, f"{error.brief}, so they cannot be told", "bundle")
