"""Does the host fit? All findings at once, before anything is changed."""

from installer.preflight.model import Finding, Misfit, Result, Subject, Taken, finding, findings_of, report_lines
from installer.preflight.table import FINDERS, examine

__all__ = [
    "FINDERS",
    "Finding",
    "Misfit",
    "Result",
    "Subject",
    "Taken",
    "examine",
    "finding",
    "findings_of",
    "report_lines",
]
