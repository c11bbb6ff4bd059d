"""The console proxy agent: websocket access to VNC consoles, one token per VM."""

__version__ = "1.1.0"
