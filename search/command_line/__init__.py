"""How a command meets its user: exit codes, signals, standard output, the terminal and the notebook.

It imports nothing else of search. `terminal` is the only module that imports Rich.
"""
