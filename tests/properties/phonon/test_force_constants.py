"""Force constants by least squares: those of symfc's basis, whatever the crystal."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.spacegroup import crystal as of_group
from phonopy.harmonic.force_constants import compact_fc_to_full_fc
from phonopy.structure.atoms import PhonopyAtoms
from phonopy.structure.cells import Primitive
from scipy.spatial.transform import Rotation
from symfc import Symfc
from symfc.utils.utils import SymfcAtoms

from pet_flows.properties.phonon.force_constants import Harmonic, fit, harmonic, strained

TURN = Rotation.from_rotvec([0.1, 0.3, -0.2]).as_matrix()
LOW = Atoms(
    "CuAuCu",
    cell=[[3.1, 0.2, 0.1], [0.4, 3.4, 0.3], [-0.2, 0.1, 4.9]],
    scaled_positions=[[0.02, 0.1, 0.0], [0.5, 0.45, 0.33], [0.1, 0.6, 0.66]],
    pbc=True,
)
CRYSTALS = {
    "fcc": bulk("Cu", a=3.6),
    "hcp": bulk("Cu", "hcp", a=2.55, c=4.3),
    "diamond": bulk("Si", a=5.43),
    "zincblende": bulk("ZnS", "zincblende", a=5.4),
    "wurtzite": bulk("ZnS", "wurtzite", a=3.8, c=6.2),
    "quartz": of_group(
        ["Si", "O"], [(0.47, 0, 1 / 3), (0.41, 0.27, 0.45)], spacegroup=152,
        cellpar=[4.9, 4.9, 5.4, 90, 90, 120],
    ),
    "spinel": of_group(
        ["Mg", "Al", "O"], [(0.125,) * 3, (0.5,) * 3, (0.262,) * 3], spacegroup=227, setting=2,
        cellpar=[8.1] * 3 + [90] * 3, primitive_cell=True,
    ),
    "no symmetry": LOW,
}  # fmt: skip


def measured(crystal: Harmonic, seed: int = 0) -> np.ndarray:
    """Forces as no crystal has them: what is left of them is decided by the least squares."""
    shape = (len(crystal.moved), len(crystal.supercell), 3)
    return np.random.default_rng(seed).normal(size=shape)


def by_symfc(crystal: Harmonic, forces: np.ndarray) -> np.ndarray:
    """The same from symfc's basis, the symmetry found by spglib in the supercell."""
    supercell = crystal.supercell
    shifts = np.zeros_like(forces)
    shifts[np.arange(len(forces)), crystal.moved] = crystal.vectors
    solver = Symfc(
        SymfcAtoms(
            cell=supercell.cell.array,
            scaled_positions=supercell.get_scaled_positions(wrap=False),
            numbers=supercell.numbers,
        ),
        displacements=shifts,
        forces=forces,
    )
    solver.run(max_order=2, is_compact_fc=True)
    return np.asarray(solver.force_constants[2])


@pytest.mark.parametrize("name", CRYSTALS)
def test_they_are_those_of_symfc(name: str) -> None:
    crystal = harmonic(CRYSTALS[name], 0.01, 7.0, 100)
    forces = measured(crystal)
    residual = np.full(forces.shape[1:], 0.1)
    found = fit(crystal, forces, residual)
    expected = by_symfc(crystal, forces - residual)
    assert np.abs(expected).max() > 10.0
    assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("name", ["hcp", "quartz"])
@pytest.mark.parametrize("turned", [False, True])
def test_other_volumes_and_orientations_have_their_own(name: str, turned: bool) -> None:
    crystal = harmonic(CRYSTALS[name], 0.01, 7.0, 100)
    shape = np.diag([1.02, 1.02, 0.97]) @ (TURN if turned else np.eye(3))
    cell = crystal.primitive.copy()
    cell.set_cell(cell.cell.array @ shape, scale_atoms=True)
    other = strained(crystal, cell, 0.01)
    forces = measured(other)
    found = fit(other, forces, np.zeros(forces.shape[1:]))
    assert found == pytest.approx(by_symfc(other, forces), abs=1e-9)


@pytest.mark.parametrize("name", CRYSTALS)
def test_sums_vanish_and_pairs_are_symmetric(name: str) -> None:
    crystal = harmonic(CRYSTALS[name], 0.01, 7.0, 100)
    forces = measured(crystal)
    found = fit(crystal, forces, np.zeros(forces.shape[1:]))
    largest = np.abs(found).max()
    assert np.abs(found.sum(1)).max() < 1e-11 * largest
    whole = compact_fc_to_full_fc(crystal.cells[0], found)
    assert np.abs(whole - whole.transpose(1, 0, 3, 2)).max() < 1e-11 * largest


def test_too_few_displacements_are_refused() -> None:
    crystal = harmonic(LOW, 0.01, 7.0, 100)
    few = Harmonic(
        **{**crystal.__dict__, "moved": crystal.moved[:2], "vectors": crystal.vectors[:2]}
    )
    with pytest.raises(np.linalg.LinAlgError, match="do not determine"):
        fit(few, measured(few), np.zeros((len(few.supercell), 3)))


def test_elements_without_a_mass_in_phonopy_have_one() -> None:
    crystal = harmonic(bulk("PuO", "rocksalt", a=4.96), 0.01, 5.0, 100)
    assert crystal.cells[0].masses == pytest.approx([244.06, 15.999], abs=0.01)
    of_silicon = harmonic(bulk("Si"), 0.01, 5.0, 100).cells[0]
    default = PhonopyAtoms(["Si"], cell=np.eye(3), scaled_positions=[[0, 0, 0]]).masses
    assert of_silicon.masses.tolist() == [default[0]] * 2


@pytest.mark.parametrize("name", CRYSTALS)
def test_translations_of_a_supercell_are_those_that_phonopy_finds(name: str) -> None:
    crystal = harmonic(CRYSTALS[name], 0.01, 7.0, 100)
    ours, supercell = crystal.cells
    theirs = Primitive(supercell, ours.primitive_matrix)
    assert ours.atomic_permutations.tolist() == theirs.atomic_permutations.tolist()
    assert len(ours.atomic_permutations) == len(supercell) // len(ours)
