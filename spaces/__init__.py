"""Networks, recipes, goals and the spaces that candidates are drawn from, as plain values with exact costs.

This package imports no other package of the project, and neither PyTorch nor Ray, so that it loads at once.
"""
