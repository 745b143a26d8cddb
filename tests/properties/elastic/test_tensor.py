"""Tensors, strains and moduli alone: no potential."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.spacegroup import crystal
from ase.units import _amu, _hbar, _k
from pymatgen.core import Lattice, Structure
from pymatgen.core.elasticity.elastic import ElasticTensor
from pymatgen.core.tensors import Tensor
from scipy.integrate import lebedev_rule
from scipy.spatial.transform import Rotation

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.properties.elastic import tensor as et
from pet_flows.properties.elastic.declaration import ElasticSettings
from pet_flows.properties.elastic.strains import plan
from tests.crystallography.snap import snap

GENERAL = [("Cu", (0.11, 0.23, 0.31)), ("O", (0.35, 0.02, 0.83))]
#: space group, cell, free constants, strains, strained cells for one magnitude
CRYSTALS = {
    "cubic": (221, (6, 6, 6, 90, 90, 90), 3, 2, 3),
    "cubic without fourfold axes": (195, (6, 6, 6, 90, 90, 90), 3, 2, 3),
    "hexagonal": (191, (5, 5, 7, 90, 90, 120), 5, 3, 5),
    "trigonal": (154, (4.9, 4.9, 5.4, 90, 90, 120), 6, 3, 5),
    "trigonal without twofold axes": (143, (4.9, 4.9, 5.4, 90, 90, 120), 7, 3, 6),
    "tetragonal": (136, (4.6, 4.6, 3.0, 90, 90, 90), 6, 4, 6),
    "tetragonal without twofold axes": (88, (5.2, 5.2, 11.4, 90, 90, 90), 7, 4, 6),
    "orthorhombic": (47, (4, 5, 6, 90, 90, 90), 9, 6, 9),
    "monoclinic": (10, (4, 5, 6, 90, 101, 90), 13, 6, 10),
    "triclinic": (2, (4, 5, 6, 70, 80, 101), 21, 6, 12),
}


def made(name: str) -> tuple[Atoms, SpaceGroup]:
    number, cell, *_ = CRYSTALS[name]
    symbols, basis = zip(*GENERAL, strict=True)
    atoms = crystal(symbols, basis, spacegroup=number, cellpar=cell)
    group = SpaceGroup.find(atoms, 1e-4)
    assert group.number == number
    return snap(group, atoms), group


def random_tensor(seed: int = 0) -> np.ndarray:
    square = np.random.default_rng(seed).normal(size=(6, 6))
    return 100 * np.eye(6) + 20 * (square + square.T)


def symmetrized(atoms: Atoms) -> ElasticTensor:
    """A random tensor of the crystal's point group, by pymatgen."""
    whole = Tensor.from_voigt(et.voigt(random_tensor()))
    structure = Structure(Lattice(atoms.cell.array), atoms.symbols, atoms.get_scaled_positions())
    return ElasticTensor(whole).fit_to_structure(structure, symprec=1e-4)


@pytest.mark.parametrize("name", CRYSTALS)
def test_few_strains_determine_the_tensor_that_the_point_group_allows(name: str) -> None:
    """Any tensor, averaged over the group by pymatgen, comes back from its stresses."""
    _, _, n_constants, n_strains, n_cells = CRYSTALS[name]
    atoms, group = made(name)
    found = plan(atoms, group, 1e-5)
    assert len(found.basis) == n_constants
    assert len(found.states) == n_strains
    assert sum(len(state.signs) for state in found.states) == n_cells

    symmetric = symmetrized(atoms)
    slopes = np.array([et.mandel(symmetric.calculate_stress(s.strain)) for s in found.states])
    tensor, residual = et.fit(found.strains, slopes, found.basis)
    np.testing.assert_allclose(et.voigt(tensor), symmetric.voigt, atol=1e-9)
    assert residual < 1e-9


@pytest.mark.parametrize("name", CRYSTALS)
def test_strained_cells_keep_what_the_strain_leaves(name: str) -> None:
    atoms, group = made(name)
    for state in plan(atoms, group, 1e-5).states:
        strained = atoms.copy()
        strained.set_cell(atoms.cell.array @ state.deformation(0.004), scale_atoms=True)
        alone = SpaceGroup.find(strained, 1e-5)
        assert len(state.group) == len(alone)
        cell = strained.cell.array
        np.testing.assert_allclose(state.group.project_cell(cell), cell, atol=1e-12)
        again = state.group.projection.positions(strained.positions, cell[None])
        np.testing.assert_allclose(again, strained.positions, atol=1e-12)
        if state.mirror is not None:
            turned = state.mirror.T @ state.strain @ state.mirror
            np.testing.assert_allclose(turned, -state.strain, atol=1e-9)


def test_rotations_of_six_components_are_those_of_the_tensor() -> None:
    tensor = random_tensor(1)
    turn = Rotation.random(random_state=2).as_matrix()
    m = et.mandel_rotations(turn[None])[0]
    np.testing.assert_allclose(m @ m.T, np.eye(6), atol=1e-12)
    ours = et.voigt(m @ tensor @ m.T)
    theirs = Tensor.from_voigt(et.voigt(tensor)).rotate(turn.T)  # columns there
    np.testing.assert_allclose(ours, theirs.voigt, atol=1e-9)


def test_moduli_of_an_isotropic_solid() -> None:
    """Young's modulus and Poisson's ratio as put in; Debye temperature from Christoffel's waves."""
    young, poisson = 130.0, 0.34
    shear, bulk = young / 2 / (1 + poisson), young / 3 / (1 - 2 * poisson)
    tensor = np.diag([2 * shear] * 6)
    tensor[:3, :3] += bulk - 2 / 3 * shear
    structure = Structure(Lattice.cubic(3.6), ["Cu"] * 4, FCC)
    found = et.moduli(tensor, structure)
    assert found.stable
    assert found.min_eigenvalue == pytest.approx(2 * shear)
    for value in (found.k_voigt, found.k_reuss, found.k_vrh):
        assert value == pytest.approx(bulk)
    for value in (found.g_voigt, found.g_reuss, found.g_vrh):
        assert value == pytest.approx(shear)
    assert found.young == pytest.approx(young)
    assert found.poisson == pytest.approx(poisson)
    assert found.anisotropy == pytest.approx(0.0, abs=1e-12)
    assert found.debye_temperature == pytest.approx(debye(tensor, structure), rel=1e-4)


def test_moduli_of_copper() -> None:
    """Measured constants 168.4, 121.4 and 75.4 GPa; the sound waves' own θ_D is 331 K."""
    tensor = np.diag([0.0, 0, 0, 75.4, 75.4, 75.4]) * 2
    tensor[:3, :3] = 121.4 + 47.0 * np.eye(3)
    structure = Structure(Lattice.cubic(3.615), ["Cu"] * 4, FCC)
    found = et.moduli(tensor, structure)
    assert found.k_vrh == pytest.approx(137.1, abs=0.1)
    assert found.g_voigt == pytest.approx((47.0 + 3 * 75.4) / 5)
    assert found.g_reuss == pytest.approx(5 * 47.0 * 75.4 / (4 * 75.4 + 3 * 47.0))
    # Hill's moduli stand for the whole anisotropic solid
    assert found.debye_temperature == pytest.approx(debye(tensor, structure), rel=0.03)


def test_unstable_tensors_have_no_averages() -> None:
    tensor = np.diag([100.0, 100, 100, 50, 50, -1e-3])
    found = et.moduli(tensor, Structure(Lattice.cubic(3.6), ["Cu"], [[0, 0, 0]]))
    assert not found.stable
    assert found.min_eigenvalue == pytest.approx(-1e-3)
    assert found.k_vrh is found.young is found.debye_temperature is None
    assert found.k_voigt == pytest.approx(100.0 / 3)


FCC = [[0, 0, 0], [0, 0.5, 0.5], [0.5, 0, 0.5], [0.5, 0.5, 0]]


def debye(tensor: np.ndarray, structure: Structure) -> float:
    """K, from sound velocities in all directions (Christoffel), not from averaged moduli."""
    directions, weights = lebedev_rule(29)
    full = np.array(Tensor.from_voigt(et.voigt(tensor))) * 1e9
    density = float(structure.composition.weight) * _amu / (structure.volume * 1e-30)
    waves = np.einsum("ijkl,jd,ld->dik", full, directions, directions) / density
    speeds = np.sqrt(np.linalg.eigvalsh(waves))
    mean = (weights @ (speeds**-3.0).mean(1) / weights.sum()) ** (-1 / 3)
    atoms_per_volume = len(structure) / (structure.volume * 1e-30)
    return _hbar / _k * mean * (6 * np.pi**2 * atoms_per_volume) ** (1 / 3)


def test_strain_magnitudes() -> None:
    assert ElasticSettings().strain_magnitudes == (0.001, 0.002)
    theirs = [float(m) for m in np.linspace(-0.01, 0.01, 5)]  # atomate2's
    assert ElasticSettings(strain_magnitudes=theirs).strain_magnitudes == (0.005, 0.01)
    for wrong in ((), (0.0,), (0.2,), (0.001, 0.00101), (float("nan"),)):
        with pytest.raises(ValueError, match="strain_magnitudes"):
            ElasticSettings(strain_magnitudes=wrong)
