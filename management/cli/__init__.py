"""The shell of the management server: `>>>` for people, one command per call for scripts."""
