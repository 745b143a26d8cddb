from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from ase.build import bulk
from pymatgen.core import Lattice, Structure
from pymatgen.core.elasticity.elastic import ElasticTensor
from pymatgen.core.tensors import Tensor
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.spatial.transform import Rotation

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.properties.comparison import NotComparable, Side, Value
from pet_flows.properties.elastic.axes import ieee_frames, in_ieee_axes
from pet_flows.properties.elastic.tensor import WEIGHTS, invariant_basis, moduli, voigt
from pet_flows.properties.registry import get_property
from tests.crystallography.test_alignment import perovskite, quartz

COPPER = AseAtomsAdaptor.get_structure(bulk("Cu"))
SCALE = np.outer(WEIGHTS, WEIGHTS)


def cubic(c11: float, c12: float, c44: float) -> np.ndarray:
    tensor = np.diag([c11 - c12] * 3 + [c44] * 3)
    tensor[:3, :3] += c12
    return tensor


def anisotropic(structure: Structure, seed: int) -> np.ndarray:
    """A stable tensor of the structure's symmetry, in its axes, Voigt."""
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    group = SpaceGroup.find(atoms)
    basis = invariant_basis(group.operations(atoms.cell.array))
    root = np.random.default_rng(seed).normal(size=(6, 6))
    wanted = 100 * np.eye(6) + 10 * root @ root.T
    return voigt(np.einsum("nij,nkl,kl->ij", basis, basis, wanted))


def record(structure: Structure, tensor: np.ndarray, **changes: object) -> Side:
    """As our makers write it."""
    atoms = AseAtomsAdaptor.get_atoms(structure, msonable=False)
    frames = ieee_frames(SpaceGroup.find(atoms), atoms.cell.array)
    result = {
        "tensor": tensor.tolist(),
        "tensor_ieee": voigt(in_ieee_axes(tensor * SCALE, frames)).tolist(),
        "ions_relaxed": True,
        **asdict(moduli(tensor * SCALE, structure)),
        **changes,
    }
    return Side(result, structure, {"relax_ions": True})


def rotated(structure: Structure, tensor: np.ndarray, seed: int = 1) -> Side:
    """A reference that has nothing but the tensor, of the crystal in another orientation."""
    matrix = Rotation.random(rng=seed).as_matrix()
    turned = Structure(
        structure.lattice.matrix @ matrix.T, structure.species, structure.frac_coords
    )
    full = Tensor(ElasticTensor.from_voigt(tensor)).rotate(matrix, tol=1e-6)
    return Side({"tensor": ElasticTensor(full).voigt.tolist()}, turned)


def values(ours: Side, theirs: Side) -> dict[str, Value]:
    return {value.name: value for value in get_property("elastic").compare(ours, theirs)}


def test_moduli_are_those_of_a_cubic_crystal_by_hand() -> None:
    found = values(record(COPPER, cubic(170, 120, 75)), rotated(COPPER, cubic(180, 122, 80)))
    assert found["k_vrh"].pet == pytest.approx((170 + 240) / 3)
    assert found["k_vrh"].dft == pytest.approx((180 + 244) / 3)
    voigts, reuss = (58 + 3 * 80) / 5, 5 * 58 * 80 / (4 * 80 + 3 * 58)
    shear, bulk_modulus = (voigts + reuss) / 2, (180 + 244) / 3
    assert found["g_vrh"].dft == pytest.approx(shear)
    young = 9 * bulk_modulus * shear / (3 * bulk_modulus + shear)
    assert found["young"].dft == pytest.approx(young)
    assert (found["young"].unit, found["stable"].pet, found["stable"].dft) == ("GPa", True, True)


def test_eigenvalues_of_a_cubic_crystal_by_hand_in_any_orientation() -> None:
    """C11 − C12 twice, 2 C44 three times, C11 + 2 C12."""
    found = values(record(COPPER, cubic(170, 120, 75)), rotated(COPPER, cubic(180, 122, 80)))
    eigenvalues = [found[f"eigenvalue_{n}"] for n in range(1, 7)]
    assert [e.pet for e in eigenvalues] == pytest.approx([50, 50, 150, 150, 150, 410])
    assert [e.dft for e in eigenvalues] == pytest.approx([58, 58, 160, 160, 160, 424])


def test_constants_of_a_rotated_crystal_are_those_of_the_standard() -> None:
    found = values(record(COPPER, cubic(170, 120, 75)), rotated(COPPER, cubic(180, 122, 80)))
    names = [name for name in found if name[0] == "c"]
    assert names == ["c11", "c12", "c44"]
    assert [found[n].dft for n in names] == pytest.approx([180, 122, 80])
    assert [found[n].difference for n in names] == pytest.approx([-10, -2, -5])


#: with atoms off their places by which a and b are told apart
PEROVSKITE = (
    ["Ca", "Ti", "O", "O", "O"],
    [[0, 0, 0], [0.5, 0.5, 0.55], [0.5, 0.5, 0.02], [0.5, 0, 0.54], [0, 0.5, 0.45]],
)
ORTHORHOMBIC = Structure(Lattice.orthorhombic(3.9, 4.1, 4.3), ["Cs", "Cl"], [[0] * 3, [0.5] * 3])


@pytest.mark.parametrize(
    ("crystal", "count"),
    [(quartz(), 6), (ORTHORHOMBIC, 9), (perovskite(3.9, 4.1, 4.3), 21)],
    ids=["trigonal", "orthorhombic", "triclinic"],
)
def test_one_tensor_in_two_orientations_has_no_errors(crystal: Structure, count: int) -> None:
    tensor = anisotropic(crystal, 0)
    found = values(record(crystal, tensor), rotated(crystal, tensor))
    assert len([name for name in found if name[0] == "c"]) == count
    # tensors beside unique axes mix constants of hundreds of GPa
    assert all(v.difference == pytest.approx(0, abs=1e-6) for v in found.values() if v.unit)


def test_axes_are_those_of_the_crystal_where_the_order_of_lengths_is_another() -> None:
    """a < b there and b < a here: IEEE's names of the axes are exchanged, the axes are not."""
    theirs = Structure(Lattice.orthorhombic(3.90, 3.94, 4.3), *PEROVSKITE)
    ours = Structure(Lattice.orthorhombic(3.94, 3.90, 4.3), *PEROVSKITE)
    tensor = anisotropic(theirs, 5)
    assert abs(tensor[0, 0] - tensor[1, 1]) > 5
    published = record(theirs, tensor).result["tensor_ieee"]
    # the standard's names of both crystals differ, though the tensors are one
    assert published[0][0] != pytest.approx(record(ours, tensor).result["tensor_ieee"][0][0])
    found = values(record(ours, tensor), rotated(theirs, tensor))
    for name in ("c11", "c22", "c33", "c12", "c13", "c23", "c44", "c55", "c66"):
        assert found[name].difference == pytest.approx(0, abs=1e-6)


def test_c14_is_compared_up_to_its_sign() -> None:
    """Of a published tensor nobody says which of the two senses of a was meant."""
    ours = record(quartz(), anisotropic(quartz(), 0))
    published = np.array(ours.result["tensor_ieee"])
    assert abs(published[0, 3]) > 1
    half_turn = np.diag([1.0, 1, 1, -1, -1, 1])  # about z, Voigt's signs
    flipped = Side({"tensor_ieee": (half_turn @ published @ half_turn).tolist()}, quartz())
    assert flipped.result["tensor_ieee"][0][3] == -published[0, 3]
    found = values(ours, flipped)
    assert found["c14"].difference == pytest.approx(0, abs=1e-9)
    assert found["c14"].dft == pytest.approx(published[0, 3])


def test_unstable_crystals_stay_apart() -> None:
    found = values(record(COPPER, cubic(100, 120, 75)), rotated(COPPER, cubic(180, 122, 80)))
    assert set(found) == {"stable", "min_eigenvalue"}
    assert (found["stable"].pet, found["stable"].dft) == (False, True)
    assert found["min_eigenvalue"].difference == pytest.approx(-20 - 58)


def test_clamped_against_relaxed_ions_is_refused_unless_there_is_one_atom() -> None:
    tensor = anisotropic(quartz(), 0)
    clamped = record(quartz(), tensor, ions_relaxed=False)
    with pytest.raises(NotComparable, match="clamped in ours and relaxed in DFT"):
        values(clamped, rotated(quartz(), tensor))
    theirs = Side({"tensor": tensor.tolist(), "ions_relaxed": False}, quartz())
    with pytest.raises(NotComparable, match="relaxed in ours and clamped in DFT"):
        values(record(quartz(), tensor), theirs)
    assert "k_vrh" in values(clamped, theirs)
    copper = record(COPPER, cubic(170, 120, 75), ions_relaxed=False)
    assert "k_vrh" in values(copper, rotated(COPPER, cubic(180, 122, 80)))


def test_crystals_of_two_classes_have_eigenvalues_but_no_constants() -> None:
    cube = perovskite(3.9, 3.9, 3.9)
    straight = Structure(cube.lattice, cube.species, np.round(2 * cube.frac_coords) / 2)
    found = values(record(straight, cubic(300, 100, 90)), rotated(cube, anisotropic(cube, 3)))
    assert "eigenvalue_6" in found
    assert not [name for name in found if name[0] == "c"]


def test_an_unstable_crystal_is_said_to_be_one_beside_moduli_alone() -> None:
    moduli_alone = Side({"k_vrh": 140.0}, COPPER)
    with pytest.raises(NotComparable, match="the record is unstable"):
        values(record(COPPER, cubic(100, 120, 75)), moduli_alone)


def test_moduli_alone_are_compared() -> None:
    found = values(
        record(COPPER, cubic(170, 120, 75)), Side({"k_vrh": 140.0, "young": None}, COPPER)
    )
    assert set(found) == {"k_vrh"}
    hexagonal = Structure(
        Lattice.hexagonal(3, 5), ["Mg", "Mg"], [[1 / 3, 2 / 3, 1 / 4], [2 / 3, 1 / 3, 3 / 4]]
    )
    names = values(
        record(hexagonal, anisotropic(hexagonal, 1)), rotated(hexagonal, anisotropic(hexagonal, 2))
    )
    assert [n for n in names if n[0] == "c"] == ["c11", "c12", "c13", "c33", "c44"]
