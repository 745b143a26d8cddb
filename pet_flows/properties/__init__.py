"""Relaxation, statics, equations of state, phonons, dynamics: physics on batches."""
