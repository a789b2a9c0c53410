"""The time limit of tests that wait for an event."""

HANG_SECONDS = 600.0
"""After this time a test counts as hanging. It is far longer than needed on a busy machine, and measures nothing."""
