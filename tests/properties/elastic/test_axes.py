"""Tensors in the axes of the standard do not depend on how a crystal is written down."""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import make_supercell
from ase.spacegroup import crystal
from scipy.spatial.transform import Rotation

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.properties.elastic.axes import EQUAL, ieee_frames, in_ieee_axes
from pet_flows.properties.elastic.strains import plan
from pet_flows.properties.elastic.tensor import mandel_rotations, voigt
from tests.crystallography.snap import snap
from tests.properties.elastic.test_tensor import random_tensor

GENERAL = ("CuO", [(0.11, 0.23, 0.31), (0.35, 0.02, 0.83)])
#: name → elements and places, space group, cell; of every Laue class
CRYSTALS = {
    "quartz, 32": (("SiO", [(0.4697, 0, 0), (0.4133, 0.2672, 0.1188)]), 152,
                   (4.916, 4.916, 5.405, 90, 90, 120)),
    "312": (GENERAL, 149, (4.9, 4.9, 5.4, 90, 90, 120)),
    "CdI2, -3m": (("CdI", [(0, 0, 0), (1 / 3, 2 / 3, 0.25)]), 164, (4.24, 4.24, 6.84, 90, 90, 120)),
    "-31m": (GENERAL, 162, (4.9, 4.9, 5.4, 90, 90, 120)),
    "corundum, -3m": (("AlO", [(0, 0, 0.3522), (0.3062, 0, 0.25)]), 167,
                      (4.76, 4.76, 12.99, 90, 90, 120)),
    "ilmenite, -3": (("FeTiO", [(0, 0, 0.3553), (0, 0, 0.1464), (0.3174, 0.0234, 0.2451)]), 148,
                     (5.09, 5.09, 14.09, 90, 90, 120)),
    "flat -3": (GENERAL, 148, (11.1, 11.1, 2.9, 90, 90, 120)),
    "P-3": (GENERAL, 147, (4.9, 4.9, 5.4, 90, 90, 120)),
    "scheelite, 4/m": (("CaWO", [(0, 0.25, 0.625), (0, 0.25, 0.125), (0.1504, 0.0085, 0.2111)]), 88,
                       (5.243, 5.243, 11.376, 90, 90, 90)),
    "Ni4Mo, 4/m": (("MoNi", [(0, 0, 0), (0.2, 0.4, 0)]), 87, (5.72, 5.72, 3.56, 90, 90, 90)),
    "P4/m": (GENERAL, 83, (4, 4, 6, 90, 90, 90)),
    "rutile, 4/mmm": (("TiO", [(0, 0, 0), (0.3053, 0.3053, 0)]), 136,
                      (4.59, 4.59, 2.96, 90, 90, 90)),
    "wurtzite, 6/mmm": (("ZnO", [(1 / 3, 2 / 3, 0), (1 / 3, 2 / 3, 0.3819)]), 186,
                        (3.25, 3.25, 5.2, 90, 90, 120)),
    "6/m": (GENERAL, 168, (5, 5, 7, 90, 90, 120)),
    "pyrite, m-3": (("FeS", [(0, 0, 0), (0.385, 0.385, 0.385)]), 205,
                    (5.42, 5.42, 5.42, 90, 90, 90)),
    "halite, m-3m": (("NaCl", [(0, 0, 0), (0.5, 0.5, 0.5)]), 225, (5.64, 5.64, 5.64, 90, 90, 90)),
    "aragonite, mmm": (("CaCOO", [(0.25, 0.415, 0.7597), (0.25, 0.7622, -0.0862),
                                  (0.25, 0.9225, -0.0962), (0.4736, 0.681, -0.0862)]), 62,
                       (4.961, 7.967, 5.741, 90, 90, 90)),
    "Cmcm": (GENERAL, 63, (3, 9, 4, 90, 90, 90)),
    "baddeleyite, 2/m": (("ZrO", [(0.2754, 0.0395, 0.2083), (0.07, 0.3317, 0.3447)]), 14,
                         (5.15, 5.21, 5.32, 90, 99.2, 90)),
    "C2/m": (GENERAL, 12, (6.1, 3.2, 5.3, 90, 107, 90)),
    "C2/c": (GENERAL, 15, (9.5, 8.4, 5.2, 90, 110, 90)),
    "acute -1": (GENERAL, 2, (4, 5, 6, 70, 80, 101)),
    "obtuse -1": (GENERAL, 2, (4, 5, 6, 95, 100, 110)),
}  # fmt: skip
#: constants whose signs the lattice leaves open, and which are positive then
LEFT_OPEN = {
    "quartz, 32": [(1, 4)], "312": [(1, 5)], "CdI2, -3m": [(1, 4)], "-31m": [(1, 5)],
    "P-3": [(1, 4), (1, 5)], "ilmenite, -3": [(1, 5)], "flat -3": [(1, 5)],
    "scheelite, 4/m": [(1, 6)], "Ni4Mo, 4/m": [(1, 6)], "P4/m": [(1, 6)],
}  # fmt: skip
#: lattices with more symmetry than their crystals: lengths that are equal, angles that are right
TIES = {
    "two lengths": (GENERAL, 47, (4, 5, 5, 90, 90, 90)),
    "three lengths": (GENERAL, 47, (5, 5, 5, 90, 90, 90)),
    "hexagonal, orthorhombic crystal": (GENERAL, 65, (5, 75**0.5, 6, 90, 90, 90)),
    "right angle, monoclinic crystal": (GENERAL, 3, (4, 5, 6, 90, 90, 90)),
    "a = c": (GENERAL, 3, (5, 4, 5, 90, 103, 90)),
    "hexagonal, monoclinic crystal": (GENERAL, 3, (5, 4, 5, 90, 120, 90)),
    "cubic, triclinic crystal": (GENERAL, 1, (5, 5, 5, 90, 90, 90)),
    "cubic F, triclinic crystal": (GENERAL, 1, (4, 4, 4, 60, 60, 60)),
    "rhombohedral, triclinic crystal": (GENERAL, 1, (5, 5, 5, 77, 77, 77)),
    "cubic, tetragonal crystal": (GENERAL, 83, (5, 5, 5, 90, 90, 90)),
    "cubic, rhombohedral crystal": (GENERAL, 146, (4, 4, 96**0.5, 90, 90, 120)),
}
#: small differences that are none, and that none of the descriptions here may decide
NEARLY = {
    "two lengths": (GENERAL, 47, (4, 5, 5.001, 90, 90, 90)),
    "right angle": (GENERAL, 3, (4, 5, 6, 90, 90.01, 90)),
    "a = c": (GENERAL, 3, (5, 4, 5.001, 90, 103, 90)),
    "three lengths, triclinic crystal": (GENERAL, 1, (5, 5.001, 5.002, 80, 83, 101)),
}


def made(entry: tuple) -> tuple[Atoms, SpaceGroup, np.ndarray]:
    """A crystal, its group, and a random elastic tensor of its point group."""
    (symbols, places), number, cell = entry
    elements = Atoms(symbols).get_chemical_symbols()
    atoms = crystal(elements, places, spacegroup=number, cellpar=cell)
    group = SpaceGroup.find(atoms, 1e-4)
    assert group.number == number
    atoms = snap(group, atoms)
    m = mandel_rotations(group.operations(atoms.cell.array))
    return atoms, group, (m @ random_tensor(number) @ m.transpose(0, 2, 1)).mean(0)


def described(atoms: Atoms, seed: int, noise: float = 0.0) -> tuple[Atoms, np.ndarray]:
    """The same crystal in another basis or a supercell, order, hand and orientation ``(3, 3)``."""
    rng = np.random.default_rng(seed)
    while abs(round(np.linalg.det(change := rng.integers(-2, 3, (3, 3))))) != 1:
        pass
    if seed % 3 == 0:
        other = make_supercell(atoms, change @ np.diag([2, 1, 1]))
    else:
        other = atoms.copy()
        other.set_cell(change @ atoms.cell.array)
        other.wrap()
    strain = noise * rng.normal(size=(3, 3))
    other.set_cell(other.cell.array @ (np.eye(3) + strain + strain.T), scale_atoms=True)
    q = Rotation.random(random_state=seed).as_matrix() * (-1) ** seed
    other.set_cell(other.cell.array @ q, scale_atoms=True)
    return other[rng.permutation(len(other))], q


def standard(atoms: Atoms, tensor: np.ndarray, symprec: float = 1e-4) -> np.ndarray:
    frames = ieee_frames(SpaceGroup.find(atoms, symprec), atoms.cell.array)
    return voigt(in_ieee_axes(tensor, frames))


def everywhere(entry: tuple, noise: float = 0.0) -> np.ndarray:
    """The tensor in standard axes, the same in all descriptions; Voigt, GPa."""
    atoms, _, tensor = made(entry)
    expected = standard(atoms, tensor)
    symprec = max(1e-4, 100 * noise)
    for seed in range(8):
        other, q = described(atoms, seed, noise)
        m = mandel_rotations(q[None])[0]
        found = standard(other, m @ tensor @ m.T, symprec)
        atol = 1e-9 + 2e4 * noise
        np.testing.assert_allclose(found, expected, atol=atol, err_msg=f"description {seed}")
    return expected


@pytest.mark.parametrize("name", CRYSTALS)
def test_tensors_belong_to_the_crystal(name: str) -> None:
    tensor = everywhere(CRYSTALS[name])
    for row, column in LEFT_OPEN.get(name, ()):
        assert tensor[row - 1, column - 1] > 0.1


@pytest.mark.parametrize("name", TIES)
def test_where_the_lattice_has_more_symmetry_than_the_crystal(name: str) -> None:
    everywhere(TIES[name])


@pytest.mark.parametrize("name", NEARLY)
def test_what_is_left_of_a_relaxation_decides_nothing(name: str) -> None:
    everywhere(NEARLY[name], noise=2e-5)


def frames_of(number: int, cell: tuple) -> tuple[np.ndarray, Atoms]:
    atoms, group, _ = made((GENERAL, number, cell))
    return ieee_frames(group, atoms.cell.array), atoms


def test_frames_are_right_handed_axes() -> None:
    for entry in (*CRYSTALS.values(), *TIES.values()):
        atoms, group, _ = made(entry)
        frames = ieee_frames(group, atoms.cell.array)
        unit = frames @ frames.transpose(0, 2, 1)
        np.testing.assert_allclose(unit, np.broadcast_to(np.eye(3), unit.shape), atol=1e-12)
        np.testing.assert_allclose(np.linalg.det(frames), 1.0, atol=1e-12)


def test_axes_are_those_of_the_standard() -> None:
    """By the lattice vectors of cells that are written down as the standard wants them."""
    for frame in frames_of(136, (4.6, 4.6, 3.0, 90, 90, 90))[0]:  # c < a, which pymatgen rotates
        np.testing.assert_allclose(np.abs(frame[2]), [0, 0, 1], atol=1e-9)
        np.testing.assert_allclose(np.abs(frame[0]).max(), 1.0, atol=1e-9)
    frames, atoms = frames_of(47, (4, 5, 6, 90, 90, 90))  # named anew so that c < a < b
    for frame in frames:
        along = np.abs(frame @ atoms.cell.array.T)
        np.testing.assert_allclose(along, [[0, 5, 0], [0, 0, 6], [4, 0, 0]], atol=1e-9)
    frames, atoms = frames_of(10, (5, 4, 3.5, 90, 101, 90))  # c < a, β obtuse
    assert len(frames) == 2
    a, b, c = atoms.cell.array
    for frame in frames:
        sign = np.sign(frame[2] @ c)  # about y by 180°
        np.testing.assert_allclose(frame[2], sign * c / 3.5, atol=1e-9)
        np.testing.assert_allclose(frame[1], b / 4, atol=1e-9)
        assert sign * frame[0] @ a > 0
    frames, atoms = frames_of(2, (4, 5, 3.5, 95, 101, 108))  # c < a < b, α and β obtuse
    assert len(frames) == 1
    a, b, c = atoms.cell.array
    np.testing.assert_allclose(frames[0, 2], c / 3.5, atol=1e-9)
    np.testing.assert_allclose(frames[0, 1] @ np.array([c, a]).T, 0, atol=1e-9)
    assert frames[0, 0] @ a > 0
    assert frames[0, 1] @ b > 0


def test_rhombohedral_axes_are_obverse() -> None:
    frames, atoms = frames_of(148, (5.1, 5.1, 14.1, 90, 90, 120))
    assert len(frames) == 6
    inverse = np.linalg.inv(SpaceGroup.find(atoms).primitive.basis @ atoms.cell.array)
    for x, y, z in frames:
        a, b, c = 5.1 * x, 5.1 * (-0.5 * x + 0.75**0.5 * y), 14.1 * z
        for vector in (a, b, c, (2 * a + b + c) / 3):
            fractions = vector @ inverse
            np.testing.assert_allclose(fractions, np.rint(fractions), atol=1e-6)


@pytest.mark.parametrize("symprec", [1e-5, 1e-3])
def test_without_imposed_symmetry_axes_are_those_of_what_is_found(symprec: float) -> None:
    atoms, group, tensor = made(CRYSTALS["scheelite, 4/m"])
    loose = plan(atoms, None, symprec)
    assert len(loose.basis) == 21
    expected = in_ieee_axes(tensor, ieee_frames(group, atoms.cell.array))
    np.testing.assert_allclose(in_ieee_axes(tensor, loose.frames), expected, atol=1e-9)


def test_axes_of_what_has_no_symmetry_are_the_laboratory_s() -> None:
    twice = Atoms("Cu2", [[0, 0, 0], [0, 0, 0]], cell=[3, 4, 5], pbc=True)
    np.testing.assert_array_equal(plan(twice, None, 1e-5).frames, np.eye(3)[None])


def test_small_entries_do_not_decide_before_large_ones() -> None:
    """Noise in C14 must not turn the sign of a C15 that is there."""
    flip = np.diag([-1.0, -1, 1])  # of C14, C15, C24, ...
    frames = np.array([np.eye(3), flip])
    tensor = np.diag([200.0, 210, 190, 100, 110, 90])
    tensor[0, 4] = tensor[4, 0] = 30.0
    for noise in (-0.3, 0.3):
        tensor[0, 3] = tensor[3, 0] = noise
        assert voigt(in_ieee_axes(tensor, frames))[0, 4] > 0
    tensor[0, 4] = tensor[4, 0] = 0.0
    assert voigt(in_ieee_axes(tensor, frames))[0, 3] > 0  # alone it does
    assert EQUAL < 1e-2
