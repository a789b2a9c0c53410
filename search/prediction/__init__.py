"""What `search.predict` does: reads images, applies one model or several, and writes labels or images.

It imports results, trainables, spaces and data, and in search only what is below it: runs, study, tasks, command_line
and engines.
"""
