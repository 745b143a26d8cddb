"""Structures on which families are compared with their own calculators."""

import numpy as np
from ase.build import bulk, molecule


def salt():
    """Two kinds of atoms, strained and rattled."""
    atoms = bulk("NaCl", "rocksalt", a=5.6) * (2, 1, 1)
    strain = np.array([[0.02, 0.01, 0.0], [-0.02, 0.0, 0.03], [0.0, 0.01, -0.02]])
    atoms.set_cell(atoms.cell.array @ (np.eye(3) + strain), scale_atoms=True)
    atoms.rattle(0.1, seed=1)
    return atoms


def silicon():
    """Atoms that are bonded to several images of each other."""
    atoms = bulk("Si")
    atoms.rattle(0.1, seed=2)
    return atoms


def water():
    """No cell."""
    atoms = molecule("H2O")
    atoms.rattle(0.05, seed=3)
    return atoms


def values(atoms, calculator):
    """Energy, forces and, of a crystal, stress."""
    atoms = atoms.copy()
    atoms.calc = calculator
    found = [atoms.get_potential_energy(), atoms.get_forces()]
    return [*found, atoms.get_stress()] if atoms.pbc.all() else found
