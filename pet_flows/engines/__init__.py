"""The evaluator of Σ W f, and its faces towards ASE and torch-sim."""
