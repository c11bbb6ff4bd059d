"""How long tests wait for what must come."""

PATIENCE = 60.0
"""Seconds: far more than the slowest machine needs, so that only what never comes fails."""
