"""Paths of band structures are seekpath's, which looks for the conventional cell by itself."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import seekpath
from ase.spacegroup import crystal

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.properties.phonon.cells import primitive_of
from pet_flows.properties.phonon.force_constants import harmonic, phonopy_atoms
from pet_flows.properties.phonon.path import band_path

PLACES = [(0.13, 0.27, 0.41), (0.35, 0.02, 0.83)]
#: each zone of seekpath's tables: a space group and a conventional cell that has it
ZONES = {
    "aP2": (2, (4.1, 5.3, 6.2, 85, 84, 86)),
    "aP3": (1, (4.1, 5.3, 6.2, 101, 97, 105)),
    "mP1": (14, (4.4, 6.1, 5.2, 90, 103, 90)),
    "mC1": (12, (7.9, 3.6, 5.1, 90, 109, 90)),
    "mC2": (5, (4.2, 7.9, 7.5, 90, 98, 90)),
    "mC3": (15, (8.2, 8.1, 4.3, 90, 112, 90)),
    "oP1": (62, (5.4, 7.7, 5.3, 90, 90, 90)),
    "oF1": (22, (4.1, 7.3, 9.4, 90, 90, 90)),
    "oF2": (42, (8.4, 9.3, 4.2, 90, 90, 90)),
    "oF3": (43, (6.1, 7.3, 8.4, 90, 90, 90)),
    "oI1": (23, (5.1, 6.4, 7.7, 90, 90, 90)),
    "oI2": (46, (8.1, 6.4, 5.7, 90, 90, 90)),
    "oI3": (45, (5.2, 7.9, 6.3, 90, 90, 90)),
    "oC1": (63, (4.2, 9.4, 6.1, 90, 90, 90)),
    "oC2": (36, (9.4, 4.2, 6.1, 90, 90, 90)),
    "oA1": (38, (5.1, 4.2, 7.3, 90, 90, 90)),
    "oA2": (40, (5.1, 7.3, 4.2, 90, 90, 90)),
    "tP1": (99, (5.2, 5.2, 4.1, 90, 90, 90)),
    "tI1": (141, (9.4, 9.4, 6.2, 90, 90, 90)),
    "tI2": (82, (5.1, 5.1, 9.6, 90, 90, 90)),
    "hP1": (162, (4.9, 4.9, 5.4, 90, 90, 120)),
    "hP2": (194, (5.3, 5.3, 8.4, 90, 90, 120)),
    "hR1": (166, (6.1, 6.1, 15.2, 90, 90, 120)),
    "hR2": (148, (9.1, 9.1, 7.2, 90, 90, 120)),
    "cP1": (198, (6.2, 6.2, 6.2, 90, 90, 90)),
    "cP2": (221, (6.2, 6.2, 6.2, 90, 90, 90)),
    "cF1": (203, (12.2, 12.2, 12.2, 90, 90, 90)),
    "cF2": (216, (8.6, 8.6, 8.6, 90, 90, 90)),
    "cI1": (229, (7.9, 7.9, 7.9, 90, 90, 90)),
}


@pytest.mark.parametrize("zone", ZONES)
def test_lines_of_each_zone(zone: str) -> None:
    """The same lines up to the operations of the crystal, by which frequencies do not change."""
    number, lengths = ZONES[zone]
    atoms = crystal(["Cu", "Au"], PLACES, spacegroup=number, cellpar=lengths)
    cut = harmonic(primitive_of(atoms), 0.01, 1.0, 1)
    cell = phonopy_atoms(cut.primitive)
    structure = (cell.cell, cell.scaled_positions, cell.numbers)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert seekpath.get_path(structure)["bravais_lattice_extended"] == zone
        theirs = seekpath.get_path_orig_cell(structure)
    ours = band_path(cell, cut.standard)
    assert [names for names, _, _ in ours] == [tuple(names) for names in theirs["path"]]
    rotations = SpaceGroup.find(cut.primitive, 1e-5).rotations
    if number == 203:
        # a quarter turn makes another setting of the same group of this lattice
        turn = np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]])
        basis = cut.standard.basis
        rotations = np.concatenate([rotations, rotations @ np.linalg.inv(basis) @ turn @ basis])
    every = np.concatenate([rotations, -rotations])
    for (start, end), first, last in ours:
        expected = [np.array(theirs["point_coords"][name]) for name in (start, end)]
        for part in (0.0, 0.37, 1.0):
            own = first + part * (last - first)
            other = expected[0] + part * (expected[1] - expected[0])
            apart = every @ own - other
            assert (np.abs(apart - np.rint(apart)).max(1) < 1e-7).any()
