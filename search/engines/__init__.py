"""All uses of private names of Ray and Optuna. Check this folder before an upgrade of either.

Imports no other module of search. `trainables.engine` does the same for PyTorch.
"""
