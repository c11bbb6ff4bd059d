"""The management server: HTTP API, sessions, queries and inventory on one SQLite database."""
