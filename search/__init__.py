"""The driver: from the command line to a finished run."""
