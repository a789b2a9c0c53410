"""All uses of private names of Ray and Optuna; before an upgrade of either, this folder is what must be checked.

It imports no other module of the search. `trainables.engine` is the same for PyTorch.
"""
