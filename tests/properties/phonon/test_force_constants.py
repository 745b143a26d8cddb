"""Volumes of one crystal share the basis of their force constants where it is the same."""

from __future__ import annotations

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones
from scipy.spatial.transform import Rotation

from pet_flows.properties.phonon.force_constants import Harmonic, fit, harmonic, strained

HCP = bulk("Cu", "hcp", a=2.55, c=4.3)
TURN = Rotation.from_rotvec([0.1, 0.3, -0.2]).as_matrix()


def fitted(crystal: Harmonic) -> np.ndarray:
    forces = []
    for positions in (crystal.supercell.positions, *crystal.displaced()):
        atoms = crystal.supercell.copy()
        atoms.positions = positions
        atoms.calc = LennardJones(sigma=2.3, epsilon=0.4, rc=5.0, smooth=True)
        forces.append(atoms.get_forces())
    return fit(crystal, np.array(forces[1:]), forces[0])


@pytest.mark.parametrize("turned", [False, True])
def test_a_shared_basis_changes_nothing(turned: bool) -> None:
    crystal = harmonic(HCP, 0.01, 6.0, 100)
    fitted(crystal)
    (first,) = crystal.bases
    shape = np.diag([1.02, 1.02, 0.97]) @ (TURN if turned else np.eye(3))
    cell = crystal.primitive.copy()
    cell.set_cell(cell.cell.array @ shape, scale_atoms=True)
    other = strained(crystal, cell, 0.01)
    among_others = fitted(other)
    assert (crystal.bases[0] is first) is not turned
    crystal.bases.clear()
    alone = fitted(other)
    assert np.abs(alone).max() > 1.0
    assert among_others == pytest.approx(alone, abs=1e-10)
