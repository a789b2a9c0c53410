"""Datasets as uint8 arrays with fixed splits."""
