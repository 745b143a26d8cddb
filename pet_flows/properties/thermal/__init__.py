"""What phonons beyond the harmonic crystal tell: expansion, conduction of heat."""
