"""Each file measures one claim against a peer in the same run and prints a ratio; RESULTS.md keeps what came out."""
