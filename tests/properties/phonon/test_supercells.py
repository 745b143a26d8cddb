"""Supercells and displacements keep the symmetry of their crystal."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.standard import standard_cell
from pet_flows.properties.phonon.displacements import displacements
from pet_flows.properties.phonon.supercells import supercell_matrix

TRICLINIC = Atoms(
    "Cu2",
    positions=[[0, 0, 0], [1.2, 1.4, 1.7]],
    cell=[[3, 0.2, 0.1], [0.4, 3.3, 0], [0.3, 0.7, 3.9]],
    pbc=True,
)
CRYSTALS = {
    "fcc": (bulk("Cu"), 64, 1),
    "diamond": (bulk("Si"), 54, 1),
    "rocksalt": (bulk("NaCl", "rocksalt", a=5.64), 54, 2),
    "sc": (bulk("Po", "sc", a=3.35), 27, 1),
    "hcp": (bulk("Ti", "hcp", a=2.95, c=4.68), 72, 3),
    "triclinic": (TRICLINIC, None, 6),
}


@pytest.mark.parametrize("name", CRYSTALS)
def test_supercells_are_symmetric_and_long_enough(name: str) -> None:
    atoms, size, _ = CRYSTALS[name]
    standard = standard_cell(atoms.cell.array, atoms.get_scaled_positions(), atoms.numbers, 1e-5)
    conventional = np.rint(standard.basis).astype(int)
    rotations = SpaceGroup.find(atoms).rotations
    matrix, length = supercell_matrix(atoms.cell.array, rotations, conventional, 10.0, 400)
    assert length >= 10.0
    grid = np.stack(np.meshgrid(*[range(-4, 5)] * 3), -1).reshape(-1, 3)
    grid = grid[np.abs(grid).sum(1) > 0]
    shortest = np.linalg.norm(grid @ matrix @ atoms.cell.array, axis=1).min()
    assert length == pytest.approx(shortest)
    images = matrix @ rotations @ np.linalg.inv(matrix)
    assert np.abs(images - np.rint(images)).max() < 1e-9
    if size is not None:
        assert len(atoms) * abs(round(np.linalg.det(matrix))) == size


@pytest.mark.parametrize("name", CRYSTALS)
def test_displacements_span_space_with_their_opposites(name: str) -> None:
    atoms, _, number = CRYSTALS[name]
    group, cell = SpaceGroup.find(atoms), atoms.cell.array
    found = displacements(group, cell, 0.01)
    assert len(found) == number
    for atom in group.orbits():
        site = group.operations(cell)[group.permutations[:, atom] == atom]
        images = np.concatenate([v @ site for i, v in found if i == atom])
        assert np.linalg.svd(images)[1][2] > 1e-4
        for image in images:
            assert np.linalg.norm(images + image, axis=1).min() < 1e-12
