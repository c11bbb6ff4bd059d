"""Several nodes at once: who they are, how they are reached, what is asked of them, and one upgrade of all."""
