"""A user's own task: what a task file may define, its defaults from the data, and the Task that both result in.

It imports `search.tasks`, spaces, data, and of trainables the parts that load no PyTorch before a module is counted.
"""
