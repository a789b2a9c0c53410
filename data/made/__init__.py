"""Stand-in data that needs no network: digits, pages of text, and images of three digits on textures.

It imports nothing of the project but `data.splits` and what that is made of.
"""
