"""The support archive: what a vendor needs to see of a host, without its secrets."""
