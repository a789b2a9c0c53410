"""What may be tried: networks, recipes and the spaces they are drawn from. Neither torch nor Ray."""
