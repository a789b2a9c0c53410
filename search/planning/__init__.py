"""Planning: what a run does, from the keys that a user types to a plan; nothing is trained here.

Imports runs, study, tasks, command_line and engines of search, and nothing above.
"""
