"""From what was read to the program that a method runs: layers, halves, matrices, and the cache."""
