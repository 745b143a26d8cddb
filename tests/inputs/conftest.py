"""Crystals that input files are made of."""

from __future__ import annotations

import pytest
from pymatgen.core import Lattice, Structure


@pytest.fixture
def quartz():
    """A low-symmetry cell with positions outside of it, and atoms in no sorted order."""
    lattice = Lattice.from_parameters(4.9, 5.1, 5.6, 81, 97, 112)
    positions = [[0.1, 0.2, 0.3], [1.47, -0.31, 0.0], [0.6, 0.7, 0.81], [0.27, 0.9, 0.45]]
    return Structure(lattice, ["O", "Si", "O", "Si"], positions)
