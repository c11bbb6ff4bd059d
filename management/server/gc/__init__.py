"""Garbage collection: removals that could not be made at once are jobs, made when their host or storage allows it."""
