"""The Ray of a run: which one to use, starting or joining it, its nodes and slots, and noticing when it is lost.

May import planning, tasks, command_line and engines. Ray is imported inside functions, since it takes a second.
"""
