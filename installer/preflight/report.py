"""The report about one host: what `--json` prints, and what is believed of a report that came from another host."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints, ValidationError

from installer.plan import Mode
from installer.preflight.model import TEXT_LIMIT, Finding, Result, findings_of, report_lines
from payload.document import Document
from payload.fields import Name
from payload.requirements import CheckId
from templates.contexts import PreflightContext, ReportedHost
from templates.render import render

SIZE_LIMIT = 4 << 20
"""No report has more bytes."""
_ROWS = 2000


def _printable(text: str) -> str:
    if not text.replace("\n", " ").isprintable():
        raise ValueError("has letters that cannot be printed")
    return text


_Text = Annotated[str, StringConstraints(max_length=TEXT_LIMIT), AfterValidator(_printable)]


class Found(Document):
    """A finding: see `installer.preflight.Finding`."""

    id: CheckId
    seen: _Text
    wanted: _Text
    fix: _Text
    strict: bool


class Passed(Document):
    """A check that found nothing."""

    id: CheckId
    about: _Text


class HostReport(Document):
    """All results of one host."""

    product: Name
    version: _Text
    host: _Text
    """The host's own name for itself."""
    mode: Mode
    fits: bool
    findings: tuple[Found, ...] = Field(max_length=_ROWS)
    passed: tuple[Passed, ...] = Field(max_length=_ROWS)

    @property
    def verdict(self) -> str:
        """For people."""
        if self.fits:
            return f"this host fits: {self.mode} can go on"
        return "this host does not fit; nothing was changed"

    def lines(self) -> tuple[str, ...]:
        """For people: what does not fit, and how much does."""
        findings = tuple(Finding(**found.model_dump()) for found in self.findings)
        total = len(self.passed) + len({found.id for found in self.findings})
        return (*report_lines(findings), f"{self.verdict} ({len(self.passed)} of {total} checks passed)")

    def body(self) -> dict[str, Any]:
        """For programs."""
        return self.model_dump(mode="json")


def host_report(product: str, version: object, host: str, mode: Any, results: Iterable[Result]) -> HostReport:
    """The report about this host."""
    results = tuple(results)
    findings = findings_of(results)
    return HostReport(
        product=product,
        version=str(version),
        host=host,
        mode=mode,
        fits=not any(finding.strict for finding in findings),
        findings=tuple(
            Found(id=each.id, seen=each.seen, wanted=each.wanted, fix=each.fix, strict=each.strict) for each in findings
        ),
        passed=tuple(Passed(id=result.id, about=result.about) for result in results if result.passed),
    )


def read_report(text: str) -> HostReport:
    """The report that another host printed.

    Raises:
        ValueError: it is none; says why.
    """
    try:
        return HostReport.model_validate(json.loads(text))
    except ValidationError as error:
        first = error.errors()[0]
        raise ValueError(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from error


def html_report(title: str, hosts: Iterable[ReportedHost]) -> str:
    """One page about all hosts, which needs nothing else."""
    hosts = tuple(hosts)
    made = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    context = PreflightContext(title, made, hosts, sum(host.fits for host in hosts))
    return render("report/preflight.html.j2", context)


def reported_host(report: HostReport, name: str | None = None) -> ReportedHost:
    """A host's part of that page; `name` is what the operator calls it."""
    return ReportedHost(
        name=name or report.host,
        fits=report.fits,
        verdict=report.verdict,
        strict=tuple(found for found in report.findings if found.strict),
        advice=tuple(found for found in report.findings if not found.strict),
        passed=report.passed,
    )
