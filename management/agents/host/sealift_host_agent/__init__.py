"""The agent on a host: tells the management server what the host is and can do."""

__version__ = "1.1.0"
