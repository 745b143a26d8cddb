"""Meshes of q-points are phonopy's, and so are their frequencies."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal
from phonopy import Phonopy

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.properties.phonon.cells import primitive_of
from pet_flows.properties.phonon.declaration import NonAnalytical, PhononSettings
from pet_flows.properties.phonon.force_constants import harmonic, phonopy_atoms
from pet_flows.properties.phonon.mesh import reduced_mesh
from pet_flows.properties.phonon.modes import mesh_modes
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.phonon.phonopy_yaml import to_phonopy
from tests.properties.stub import AsePotential

PLACE = [(0.13, 0.27, 0.41)]
#: a space group of each lattice, of some without inversion
CRYSTALS = {
    number: crystal("Cu", PLACE, spacegroup=number, cellpar=cell)
    for number, cell in {
        1: (4.1, 5.3, 6.2, 81, 97, 105),
        2: (4.1, 5.3, 6.2, 75, 84, 66),
        4: (4.4, 6.1, 5.2, 90, 103, 90),
        12: (7.9, 3.6, 5.1, 90, 109, 90),
        19: (4.4, 6.1, 5.2, 90, 90, 90),
        43: (9.1, 7.3, 5.4, 90, 90, 90),
        63: (4.2, 9.4, 6.1, 90, 90, 90),
        72: (8.1, 6.4, 5.7, 90, 90, 90),
        82: (5.1, 5.1, 9.6, 90, 90, 90),
        99: (5.2, 5.2, 4.1, 90, 90, 90),
        141: (9.4, 9.4, 6.2, 90, 90, 90),
        152: (4.9, 4.9, 5.4, 90, 90, 120),
        166: (6.1, 6.1, 15.2, 90, 90, 120),
        194: (5.3, 5.3, 8.4, 90, 90, 120),
        198: (6.2, 6.2, 6.2, 90, 90, 90),
        216: (8.6, 8.6, 8.6, 90, 90, 90),
        229: (7.9, 7.9, 7.9, 90, 90, 90),
    }.items()
}


def reduced(atoms: Atoms, mesh: Any) -> tuple[Any, Any]:
    """Ours, and that of a Phonopy which has looked for the symmetry by itself."""
    primitive = harmonic(primitive_of(atoms), 0.01, 1.0, 1).primitive
    theirs = Phonopy(phonopy_atoms(primitive), np.eye(3, dtype=int), primitive_matrix="P")
    theirs.force_constants = np.zeros((len(primitive), len(primitive), 3, 3))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numbers that break the symmetry
        theirs.run_mesh(mesh, is_gamma_center=True)
    dynamics: Any = theirs.dynamical_matrix
    return reduced_mesh(dynamics, SpaceGroup.find(primitive, 1e-5), mesh), theirs.mesh


def same(ours: Any, theirs: Any) -> None:
    assert ours.numbers.tolist() == theirs.mesh_numbers.tolist()
    assert ours.weights.tolist() == theirs.weights.tolist()
    np.testing.assert_allclose(ours.qpoints, theirs.qpoints, atol=1e-12)


@pytest.mark.parametrize("number", CRYSTALS)
def test_a_mesh_of_each_lattice(number: int) -> None:
    for mesh in (20.0, (4, 4, 4), (1, 1, 1)):
        ours, theirs = reduced(CRYSTALS[number], mesh)
        same(ours, theirs)
        assert ours.weights.sum() == ours.numbers.prod()


@pytest.mark.parametrize("mesh", [(4, 4, 3), 27.0], ids=["numbers", "length"])
def test_a_mesh_that_breaks_the_symmetry(mesh: Any) -> None:
    """Of numbers time reversal alone is left, and a length is of the conventional cell."""
    ours, theirs = reduced(CRYSTALS[72], mesh)
    same(ours, theirs)
    assert (ours.phonopy is None) == (mesh == (4, 4, 3))


def test_a_cell_that_repeats_itself_is_not_reduced_by_another_lattice() -> None:
    double = bulk("Cu", cubic=True)
    theirs = Phonopy(phonopy_atoms(double), np.eye(3, dtype=int), primitive_matrix="P")
    theirs.force_constants = np.zeros((4, 4, 3, 3))
    dynamics: Any = theirs.dynamical_matrix
    ours = reduced_mesh(dynamics, SpaceGroup.find(double), (4, 4, 4))
    assert len(ours.weights) == 36  # 8 points are their own opposites
    assert ours.weights.sum() == 64


@pytest.mark.parametrize("charged", [False, True], ids=["neutral", "charged"])
def test_frequencies_of_a_mesh(emt: AsePotential, charged: bool) -> None:
    layered = Atoms(
        "CuAu", scaled_positions=[[0, 0, 0], [0.5, 0.5, 0.5]], cell=[2.8, 2.8, 3.6], pbc=True
    )
    one, other = np.diag([1.1, 1.1, 1.6]), np.diag([3.0, 3.0, 5.0])
    nac = NonAnalytical(born_charges=[one.tolist(), (-one).tolist()], dielectric=other.tolist())
    settings = PhononSettings(
        min_length=6.0, mesh=(5, 5, 4), band_structure=False, nac=nac if charged else None
    )
    outcome = next(phonon([layered], emt, settings))
    blob = outcome.blobs["phonon"]
    theirs = to_phonopy(blob)
    theirs.run_mesh((5, 5, 4), is_gamma_center=True, with_eigenvectors=True)
    mesh: Any = theirs.mesh
    np.testing.assert_allclose(blob["mesh_qpoints"], mesh.qpoints, atol=1e-12)
    np.testing.assert_allclose(blob["mesh_frequencies"][1:], mesh.frequencies[1:], atol=1e-9)
    # translations are the roots of round-off
    np.testing.assert_allclose(
        blob["mesh_frequencies"][0] ** 2, mesh.frequencies[0] ** 2, atol=1e-9
    )
    assert outcome.result["has_nac"] is charged
    # the same whether phonopy's own mesh is made for its tetrahedra or not
    group = SpaceGroup.find(outcome.atoms, 1e-5)
    dynamics: Any = theirs.dynamical_matrix
    sharp = mesh_modes(dynamics, group, (5, 5, 4), tetrahedra=True)
    np.testing.assert_allclose(sharp.frequencies, mesh.frequencies, atol=1e-9)
