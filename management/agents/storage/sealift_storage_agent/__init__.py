"""The agent of a backup storage: downloads images, keeps them, and gives them to hosts."""

__version__ = "1.1.0"
