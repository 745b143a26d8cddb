"""Structures on which families are compared with their own calculators."""

import numpy as np
from ase.build import bulk, molecule
from scipy.spatial.transform import Rotation


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


def changes(atoms, calculator, sign=1.0):
    """Of energy, eV, and forces, eV/Å, of a structure when it is turned; and its largest force."""
    turn = sign * Rotation.random(random_state=1).as_matrix()
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn)
    turned.positions = atoms.positions @ turn
    plain, other = values(atoms, calculator), values(turned, calculator)
    change = abs(other[1] - plain[1] @ turn).max()
    return abs(other[0] - plain[0]), change, abs(plain[1]).max()
