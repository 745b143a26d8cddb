"""Energies of strained crystals: equations of state, elastic tensors."""
