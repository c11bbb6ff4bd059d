"""Secrets out of text, before the text leaves the host. Better a word too many than one secret.

Two ways: the values that this install is known to hold, however they are written, and the shapes that secrets have in
configuration, logs, URLs and HTTP headers.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote

REMOVED = "[removed]"
_SHORTEST = 4
"""A known value that is shorter is left to the shapes: taken by itself, it would be found in every second word."""

_NAME = (
    r"(?:pass(?:wor[dt]|wd|phrase|code)?|pwd|secret|token|credentials?|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|auth(?:orization)?|cookie|session(?:[_-]?(?:id|uuid|key))?|otp|pin)"
)
_KEY = rf"[\"']?(?:[\w.-]*[\W_])?{_NAME}s?(?:[_-]?(?:hash|digest|value))?[\"']?"
_VALUE = r"(?:\"(?:\\.|[^\"\\\n])*\"?|'(?:\\.|[^'\\\n])*'?|\[[^\]]*\]?|\{[^}]*\}?|[^\s\"'][^\n]*)"

_SHAPES: tuple[tuple[re.Pattern[str], str | None], ...] = (
    # A private key, also one whose end was cut off.
    (re.compile(r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.S), REMOVED),
    # scheme://user:password@host
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://[^\s/:@]*):[^\s/]*@", re.I), rf"\1:{REMOVED}@"),
    # HTTP headers, whole lines of them
    (re.compile(r"((?:proxy-)?authorization|(?:set-)?cookie|x-(?:api-key|auth-token))(\s*:\s*)[^\n]+", re.I), None),
    (re.compile(r"\b(bearer|basic|digest)(\s+)[A-Za-z0-9+/=_.~-]{8,}", re.I), None),
    # <password>...</password>
    (re.compile(rf"(<[\w:.-]*{_NAME}[^<>]*)(>)[^<]*", re.I), None),
    # netrc and SQL
    (re.compile(r"\b(login\s+\S+\s+password)(\s+)\S+", re.I), None),
    (re.compile(r"\b((?:identified\s+by|password))(\s+)'(?:''|[^'])*'?", re.I), None),
    # --password VALUE
    (re.compile(rf"(--(?:[\w-]*-)?{_NAME})(\s+)(?!-)\S+", re.I), None),
    # key = value, "key": "value", KEY=value, key: value
    (re.compile(rf"(?<![\w.-])({_KEY})(\s*(?:=>|[:=])\s*){_VALUE}", re.I), None),
    # What shows by itself that it is one
    (
        re.compile(r"\$(?:1|2[abxy]?|5|6|7|y|gy|sha1|md5|apr1|argon2(?:id|i|d)|scrypt|pbkdf2[\w-]*)\$[^\s:\"']+"),
        REMOVED,
    ),
    (re.compile(r"\b(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}\b"), REMOVED),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|sk-|npm_|pypi-)[A-Za-z0-9_-]{16,}"), REMOVED),
    (re.compile(r"\bAIza[A-Za-z0-9_-]{35}"), REMOVED),
    (re.compile(r"\bAGE-SECRET-KEY-1[A-Z0-9]+"), REMOVED),
    (re.compile(r"\beyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"), REMOVED),
)


class Redactor:
    """Takes secrets out of texts. `known` are values that must not be in any of them."""

    def __init__(self, known: Iterable[str] = ()) -> None:
        forms = {form for value in known if len(value) >= _SHORTEST for form in _forms(value)}
        words = "|".join(re.escape(form) for form in sorted(forms, key=len, reverse=True))
        self._known = re.compile(words) if words else None
        self.removed = 0
        """How many places were blotted out so far."""

    def __call__(self, text: str) -> str:
        """`text` without secrets."""
        if self._known is not None:
            text = self._substitute(self._known, REMOVED, text)
        for pattern, replacement in _SHAPES:
            text = self._substitute(pattern, rf"\1\2{REMOVED}" if replacement is None else replacement, text)
        return text

    def _substitute(self, pattern: re.Pattern[str], replacement: str, text: str) -> str:
        text, count = pattern.subn(replacement, text)
        self.removed += count
        return text


def _forms(value: str) -> Iterable[str]:
    """`value` as it may be written: plain, in JSON, in a URL, in base64."""
    yield value
    yield json.dumps(value)[1:-1]
    yield quote(value, safe="")
    yield base64.b64encode(value.encode()).decode().rstrip("=")
