"""Sealift's reference product: a management server, its shell and its agents.

The version is written here and nowhere else; pyproject.toml reads it from this file.
"""

__version__ = "1.1.0"
