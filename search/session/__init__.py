"""What all training commands share while they run: the session with its resources, and what a search prints.

It may import trials, cluster, planning, runs, study, tasks and command_line.
"""
