"""Finite displacements belong to the crystal: a turned one is displaced along its turned axes."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from scipy.spatial.transform import Rotation

from pet_flows.properties.phonon.declaration import PhononSettings
from pet_flows.properties.phonon.phonon import phonon
from tests.properties.stub import AsePotential


@pytest.mark.parametrize("hand", [1, -1])
def test_low_symmetry_does_not_feel_the_laboratory(emt: AsePotential, hand: int) -> None:
    crystal = Atoms(
        "Cu2AuPd",
        cell=[[2.72, 0, 0], [0, 5.4, 0], [0.2, 0, 3.72]],
        scaled_positions=[[0, 0, 0], [0.5, 0.22, 0.5], [0, 0.5, 0.02], [0.5, 0.77, 0.5]],
        pbc=True,
    )
    turned = crystal.copy()
    turn = hand * Rotation.from_rotvec([0.3, 0.9, -0.4]).as_matrix()
    turned.set_cell(crystal.cell.array @ turn, scale_atoms=True)
    settings = PhononSettings(min_length=5.0, mesh=(4, 4, 4), band_structure=False, dos=False)
    one, other = sorted(phonon([crystal, turned], emt, settings), key=lambda o: o.index)
    vectors = one.blobs["phonon"]["displacements"]
    apart = np.abs(vectors @ turn) - np.abs(other.blobs["phonon"]["displacements"])
    assert np.abs(apart).max() < 1e-9
    frequencies = [o.blobs["phonon"]["mesh_frequencies"] for o in (one, other)]
    # by the laboratory's axes they differed by 2e-4 THz
    assert np.abs(frequencies[0] - frequencies[1]).max() < 1e-6
