"""Does the host fit? All findings at once, before anything is changed."""

from installer.preflight.model import Finding, Subject, report_lines
from installer.preflight.table import CHECKS, examine

__all__ = ["CHECKS", "Finding", "Subject", "examine", "report_lines"]
