"""A symmetrized model as one TorchScript file, which any metatomic engine runs by itself."""
