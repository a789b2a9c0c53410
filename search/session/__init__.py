"""The parts that all training commands share: a session with its resources, and a search's printed summary.

It may import trials, cluster, planning, runs, study, tasks and command_line.
"""
