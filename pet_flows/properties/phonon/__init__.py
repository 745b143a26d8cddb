"""Harmonic phonons by finite displacements."""
