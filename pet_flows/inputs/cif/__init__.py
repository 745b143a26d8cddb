"""CIF files: syntax, cell, symmetry, atoms, and whether these agree with one another."""
