"""Datasets as uint8 arrays in fixed splits: read from files, downloaded, or made as stand-ins in `data.made`.

`splits` has the types; each dataset has a file of its own beside the readers of its files. Nothing here imports another
package of the project, torch or Ray.
"""
