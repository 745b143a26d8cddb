"""A reference derived from a supercell with one displaced atom must be that of its crystal."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk, make_supercell
from scipy.spatial.transform import Rotation

from pet_flows.crystallography.primitive import find_primitive
from pet_flows.symmetrization.crystal import derive, inherited_by_supercell
from pet_flows.symmetrization.strategies import parse_strategy

CUBIC = np.array([[-1, 1, 1], [1, -1, 1], [1, 1, -1]])


def displaced(name: str, matrix: np.ndarray, scale: float, length: float, n: int) -> Atoms:
    atoms = bulk(name)
    atoms.set_cell(scale * atoms.cell.array, scale_atoms=True)
    atoms = make_supercell(atoms, matrix)
    atoms.positions[0] += length * Rotation.random(rng=n).as_matrix()[0]
    return atoms


@pytest.mark.parametrize("name", ["Si", "Cu", "Nb"])
@pytest.mark.parametrize("length", [0.005, 0.01])
def test_round_off_does_not_decide(name: str, length: float) -> None:
    """0.01 Å is what phonopy displaces by: all such cells must find the crystal's own lattice."""
    parent, _, _ = derive(bulk(name))
    for n, scale in enumerate(np.linspace(0.97, 1.03, 15)):
        atoms = displaced(name, 2 * np.eye(3), scale, length, n)
        reference, setting, _ = derive(atoms)
        assert np.allclose(reference.h0, scale * parent.h0, atol=1e-6)
        assert abs(round(np.linalg.det(setting))) == 8


@pytest.mark.parametrize("tolerance", [0.01, 0.02])
def test_a_tolerance_among_equal_residuals_finds_no_lattice(tolerance: float) -> None:
    for n, scale in enumerate(np.linspace(0.97, 1.03, 15)):
        atoms = displaced("Si", 2 * np.eye(3), scale, tolerance, n)
        found = find_primitive(atoms.numbers, atoms.cell.array, atoms.positions, tolerance)
        assert len(found.atoms) == len(atoms)


def test_the_setting_is_the_carried_one_up_to_the_holohedry() -> None:
    crystal = bulk("Cu")
    strategy = parse_strategy("crystal").configure(4.5, 2)
    bound = strategy.bind(crystal)
    atoms = displaced("Cu", 2 * CUBIC, 1.0, 0.01, 3)
    own = strategy.bind(atoms).as_dict()
    inherited = inherited_by_supercell(bound.as_dict(), 2 * CUBIC)
    assert np.allclose(own["reference"]["h0"], inherited["reference"]["h0"], atol=1e-9)
    assert abs(round(np.linalg.det(own["N"]))) == abs(round(np.linalg.det(inherited["N"]))) == 32
