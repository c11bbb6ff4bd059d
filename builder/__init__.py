"""Manifest → lock → store → staged release → signed bundle."""

__version__ = "0.1.0"
