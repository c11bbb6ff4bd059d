"""What the host is now: gathered once, plain data, JSON-able. What decides takes this and never looks."""
