"""What the host is now: gathered once, plain data, JSON-able. What decides takes this and never looks."""

from installer.facts.gather import gather
from installer.facts.host import os_release
from installer.facts.identity import homes
from installer.facts.model import Facts, Wanted, facts_from_json

__all__ = ["Facts", "Wanted", "facts_from_json", "gather", "homes", "os_release"]
