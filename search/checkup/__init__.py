"""The doctor's checks: of a cluster file, of each node of a running cluster, and of this machine.

Each check returns findings, which `search.doctor` prints. May import search.cluster and what is below it. Ray is
imported inside functions, so that `--help` starts without it.
"""
