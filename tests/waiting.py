"""How long tests wait for what has to come: until it is there, or until something hangs."""

HANG_SECONDS = 600.0
"""After this a test ends what hangs. On no machine, however busy, is it needed: it measures nothing."""
