"""Energies of different materials beside DFT's: shifts, formation, hulls, corrections."""
