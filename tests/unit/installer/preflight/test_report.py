from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from installer.preflight import examine
from installer.preflight.report import HostReport, host_report, html_report, read_report, reported_host
from payload.requirements import KNOWN_CHECKS
from templates.contexts import ReportedHost
from tests.unit.installer.preflight.fitting import SUBJECT, changed

HOSTILE = "<script>alert(1)</script>\x1b[31m'\"&"


def report_of(**changes: Any) -> HostReport:
    subject = changed("packages", **changes) if changes else SUBJECT
    return host_report("app", "1", "node1", "install", examine(subject))


def test_text_says_findings_and_how_many_passed() -> None:
    total = len(KNOWN_CHECKS)
    assert report_of().lines() == (f"this host fits: install can go on ({total} of {total} checks passed)",)
    first, last = report_of(rpmdb_fault="broken").lines()
    assert first == "✘ rpmdb: broken\n    wanted: rpm -qa works\n    fix: rpm --rebuilddb"
    assert last == f"this host does not fit; nothing was changed ({total - 1} of {total} checks passed)"


def test_advice_alone_fits() -> None:
    report = report_of(excludes="x")
    assert report.fits and [found.strict for found in report.findings] == [False]


def test_json_is_read_again() -> None:
    report = report_of(rpmdb_fault=HOSTILE)
    assert read_report(json.dumps(report.body())) == report
    assert "\x1b" not in report.lines()[0]


def test_long_answers_are_cut() -> None:
    (found,) = report_of(rpmdb_fault="x" * 100_000).findings
    assert len(found.seen) == 2000 and found.seen.endswith("…")


BODY = report_of(rpmdb_fault="broken").body()


@pytest.mark.parametrize(
    "changes",
    [
        {"fits": "maybe"},
        {"mode": "delete"},
        {"host": "a\x1b[2J"},
        {"extra": 1},
        {"findings": [{"id": "x", "seen": "y" * 2001, "wanted": "", "fix": "", "strict": True}]},
        {"findings": [{"id": "../x", "seen": "", "wanted": "", "fix": "", "strict": True}]},
        {"passed": [{"id": "x", "about": "y"}] * 2001},
    ],
)
def test_a_report_of_another_host_is_not_believed_blindly(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=":"):
        read_report(json.dumps(BODY | changes))


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_whatever_another_host_prints_is_a_report_or_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        read_report(text)


class Page(HTMLParser):
    """Tags that are open, and whether all were closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(*hosts: ReportedHost) -> tuple[str, Page]:
    text, page = html_report(f"Shop {HOSTILE}", hosts), Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return text, page


def test_the_page_is_whole_escaped_and_loads_nothing() -> None:
    bad = reported_host(report_of(rpmdb_fault=HOSTILE, excludes="some"))
    text, page = page_of(bad)
    assert "<script" not in text and "&lt;script&gt;" in text
    assert not {"script", "img", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert not re.search(r"(src|url)\s*[=(]|https?://", text)
    assert ("html", {"lang": "en"}) in page.tags
    assert all("scope" in attributes for tag, attributes in page.tags if tag == "th")
    for check in KNOWN_CHECKS:
        assert f'<th scope="row">{check}</th>' in text


def test_the_page_about_several_hosts_lists_them_first() -> None:
    good, bad = reported_host(report_of(), "n1"), reported_host(report_of(rpmdb_fault="broken"), "n2")
    gone = ReportedHost("n3", fits=False, verdict="cannot be looked at", problem="connection refused")
    text, page = page_of(good, bad, gone)
    links = [attributes["href"] for tag, attributes in page.tags if tag == "a"]
    ids = {attributes.get("id") for _, attributes in page.tags}
    assert links == ["#host-1", "#host-2", "#host-3"] and {link[1:] for link in links if link} <= ids
    assert "1 of 3 hosts fit" in text and "connection refused" in text
