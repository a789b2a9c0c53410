"""What `search.predict` does: reads examples, applies one model or several, and writes labels, images or numbers.

It imports results, trainables, spaces and data, and in search only what is below it: runs, study, tasks, command_line
and engines.
"""
