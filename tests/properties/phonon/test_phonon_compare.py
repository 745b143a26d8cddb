"""Phonons of an EMT crystal beside those that phonopy alone calculates of it, written otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from phonopy import Phonopy
from phonopy.structure.atoms import PhonopyAtoms
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.spatial.transform import Rotation

from pet_flows.properties.comparison import NotComparable, Side, Value
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.phonon.compare import STABLE
from pet_flows.properties.phonon.phonon import phonon
from pet_flows.properties.phonon.spectrum import Spectrum
from pet_flows.properties.registry import get_property
from tests.properties.phonon.test_nonanalytical import LAYERED, polar, settings
from tests.properties.stub import AsePotential

#: another basis of the same lattice
OTHER = np.array([[0, 1, 0], [-1, 1, 0], [0, 1, 1]])
NAC = polar([np.diag([1.1, 1.1, 1.6]), np.diag([-1.1, -1.1, -1.6])], np.diag([3.0, 3.0, 5.0]))


def side(outcome: Outcome, **changes: Any) -> Side:
    structure = AseAtomsAdaptor.get_structure(outcome.atoms)
    result = {**outcome.result, **changes}
    return Side(result, structure, {"mesh_length": 40.0}, outcome.blobs.__getitem__)


@pytest.fixture(scope="module")
def ours() -> Outcome:
    return next(phonon([LAYERED], AsePotential(), settings(None)))


def written_otherwise(atoms: Atoms) -> Atoms:
    matrix = Rotation.random(rng=8).as_matrix()
    other = atoms[::-1]
    other.set_cell(OTHER @ atoms.cell.array @ matrix)
    other.positions = atoms.positions[::-1] @ matrix + 0.4
    return other


def by_phonopy(atoms: Atoms, supercell: np.ndarray) -> Phonopy:
    """Symmetric displacements, phonopy's own force constants."""
    unit = PhonopyAtoms(numbers=atoms.numbers, cell=atoms.cell, positions=atoms.positions)
    phonopy = Phonopy(unit, supercell_matrix=supercell, primitive_matrix="P")
    phonopy.generate_displacements(distance=0.01, is_plusminus=True)
    forces = []
    for displaced in phonopy.supercells_with_displacements:
        cell = Atoms(
            numbers=displaced.numbers, cell=displaced.cell, positions=displaced.positions, pbc=True
        )
        cell.calc = EMT()
        forces.append(cell.get_forces())
    phonopy.forces = np.array(forces)
    phonopy.produce_force_constants(show_drift=False)
    phonopy.symmetrize_force_constants(show_drift=False)
    return phonopy


def reference(phonopy: Phonopy, **result: Any) -> Side:
    cell = phonopy.primitive
    arrays = {
        "force_constants": phonopy.force_constants,
        "supercell_matrix": np.array(phonopy.supercell_matrix),
        "primitive_cell": cell.cell,
        "primitive_positions": cell.positions,
        "primitive_numbers": cell.numbers,
    }
    atoms = Atoms(numbers=cell.numbers, cell=cell.cell, positions=cell.positions, pbc=True)
    structure = AseAtomsAdaptor.get_structure(atoms)
    return Side(result, structure, {}, {"phonon": arrays}.__getitem__)


def values(ours: Side, theirs: Side) -> dict[str, Value]:
    return {value.name: value for value in get_property("phonon").compare(ours, theirs)}


def supercell_of(outcome: Outcome, other: Atoms) -> np.ndarray:
    """The same supercell, in terms of the other's vectors; phonopy's columns."""
    rows = np.array(outcome.result["supercell_matrix"]).T
    return np.rint(rows @ outcome.atoms.cell.array @ np.linalg.inv(other.cell.array)).astype(int).T


def test_the_same_crystal_by_phonopy_in_another_cell(ours: Outcome) -> None:
    matrix = Rotation.random(rng=8).as_matrix()
    straight = written_otherwise(LAYERED)
    back = Atoms(cell=straight.cell.array @ matrix.T)
    theirs = by_phonopy(straight, supercell_of(ours, back))
    found = values(side(ours), reference(theirs))
    # two ways to force constants of one supercell: third order of 0.01 Å
    for name in ("frequencies_mae", "frequencies_largest", "spectrum_w1"):
        assert found[name].difference < 0.01
    assert found["frequencies_largest"].unit == "THz"
    # a mesh of n points along each vector is the same in every basis of a lattice
    theirs.run_mesh(ours.result["mesh"], is_gamma_center=True)
    theirs.run_thermal_properties(temperatures=[300.0], cutoff_frequency=1e-3)
    free, entropy, heat = (
        theirs.thermal_properties.free_energy[0] / 2,
        theirs.thermal_properties.entropy[0] / 2,
        theirs.thermal_properties.heat_capacity[0] / 2,
    )
    thermal = next(p for p in ours.result["thermal"] if p["T"] == 300.0)
    for name, mine, other in (("f", thermal["f"], free), ("s", thermal["s"], entropy),
                              ("cv", thermal["cv"], heat)):  # fmt: skip
        # Boltzmann's constant of CODATA 2014 and of 2018
        assert found[f"{name}_300K"].pet == pytest.approx(mine, rel=1e-5)
        assert found[f"{name}_300K"].dft == pytest.approx(other, rel=1e-5)
    assert (found["stable"].pet, found["stable"].dft) == (True, True)
    assert (found["nac"].pet, found["nac"].dft) == (False, False)
    assert found["max_frequency"].pet == pytest.approx(ours.result["max_frequency"], abs=1e-9)
    assert found["min_frequency"].pet == pytest.approx(ours.result["min_frequency"], abs=1e-9)


def test_thermal_properties_are_phonopys_of_the_same_mesh(ours: Outcome) -> None:
    blob = ours.blobs["phonon"]
    spectrum = Spectrum.of_arrays(blob)
    for temperature in (100.0, 300.0, 800.0):
        by_hand = next(p for p in ours.result["thermal"] if temperature == p["T"])
        found = spectrum.thermal(temperature)
        assert found == pytest.approx({n: by_hand[n] for n in ("cv", "s", "f")}, rel=1e-5)


def test_per_mode_errors_are_of_the_same_mode(ours: Outcome) -> None:
    """Force constants 2 % larger are frequencies 1 % higher, at each q and in each distance."""
    scaled = by_phonopy(LAYERED, np.array(ours.result["supercell_matrix"]))
    scaled.force_constants = 1.02 * ours.blobs["phonon"]["force_constants"]
    found = values(side(ours), reference(scaled))
    factor = np.sqrt(1.02) - 1
    blob = ours.blobs["phonon"]
    spectrum = np.abs(blob["mesh_frequencies"])
    weights = blob["mesh_weights"] / blob["mesh_weights"].sum()
    mean = factor * weights @ spectrum.mean(1)
    assert found["frequencies_mae"].difference == pytest.approx(mean, rel=1e-4)
    assert found["frequencies_largest"].difference == pytest.approx(
        factor * spectrum.max(), rel=1e-4
    )
    # all modes move up: the distance is the difference of the means
    assert found["spectrum_w1"].difference == pytest.approx(mean, rel=1e-4)
    assert found["mean_frequency"].difference == pytest.approx(-mean, rel=1e-4)
    assert found["max_frequency"].relative == pytest.approx(1 / np.sqrt(1.02) - 1, rel=1e-4)


def test_w1_is_the_area_between_cumulative_densities() -> None:
    """Of cells of one and two atoms, by a sum over a fine grid."""
    generator = np.random.default_rng(2)
    one = Spectrum(generator.uniform(1, 8, (4, 3)), np.array([1, 3, 6, 6]))
    other = Spectrum(generator.uniform(2, 9, (3, 6)), np.array([1, 4, 3]))
    grid = np.linspace(0, 10, 200001)

    def cumulative(spectrum: Spectrum) -> np.ndarray:
        order = np.argsort(spectrum.frequencies.ravel())
        weights = np.repeat(spectrum.weights, spectrum.frequencies.shape[1])[order]
        steps = np.concatenate([[0.0], np.cumsum(weights) / weights.sum()])
        return steps[np.searchsorted(spectrum.frequencies.ravel()[order], grid, side="right")]

    area = np.trapezoid(np.abs(cumulative(one) - cumulative(other)), grid)
    assert one.distance(other) == pytest.approx(area, abs=2e-4)


def test_cells_that_are_not_the_same_have_a_distance_but_no_modes_to_pair(ours: Outcome) -> None:
    larger = LAYERED.repeat((1, 1, 2))
    matrix = np.rint(
        np.array(ours.result["supercell_matrix"]).T @ LAYERED.cell.array
        @ np.linalg.inv(larger.cell.array)
    ).astype(int).T  # fmt: skip
    if abs(round(np.linalg.det(matrix))) * 4 != len(ours.blobs["phonon"]["supercell_numbers"]):
        matrix = np.diag([3, 3, 1])
    found = values(side(ours), reference(by_phonopy(larger, matrix)))
    assert "frequencies_mae" not in found
    # meshes of 4 and of 14 points along an axis, other supercells
    assert found["spectrum_w1"].difference < 0.15
    assert found["f_300K"].difference == pytest.approx(0, abs=0.2)


def lopsided(atoms: Atoms) -> Phonopy:
    """Force constants without symmetry, but those of pairs and of the sum rule."""
    unit = PhonopyAtoms(numbers=atoms.numbers, cell=atoms.cell, positions=atoms.positions)
    phonopy = Phonopy(unit, supercell_matrix=np.eye(3), primitive_matrix="P")
    n = len(atoms)
    root = np.random.default_rng(4).normal(size=(3 * n, 3 * n))
    pairs = -(root @ root.T).reshape(n, 3, n, 3).swapaxes(1, 2)
    pairs = (pairs + pairs.swapaxes(2, 3)) / 2
    pairs[np.arange(n), np.arange(n)] -= pairs.sum(1)
    phonopy.force_constants = pairs
    return phonopy


@pytest.mark.parametrize("off", [0.0, 2e-3])
def test_a_mesh_is_reduced_by_no_symmetry_that_force_constants_lack(
    ours: Outcome, off: float
) -> None:
    """A cell that repeats itself, and one that is symmetric but for 0.002 Å."""
    atoms = bulk("Cu", cubic=True) if off == 0.0 else bulk("CuAu", "rocksalt", a=5.2)
    atoms = atoms * (1, 1, 2)
    atoms.rattle(off, seed=1)
    theirs = lopsided(atoms)
    found = values(side(ours), reference(theirs))
    theirs.run_mesh(40.0, is_mesh_symmetry=False)
    expected = theirs.mesh.frequencies.mean()
    assert found["mean_frequency"].dft == pytest.approx(expected, rel=1e-6)


def test_instability_is_one_tolerance_of_ours_and_leaves_out_thermal_numbers(
    ours: Outcome,
) -> None:
    soft = by_phonopy(LAYERED, np.array(ours.result["supercell_matrix"]))
    soft.force_constants = -ours.blobs["phonon"]["force_constants"]
    found = values(side(ours), reference(soft))
    assert (found["stable"].pet, found["stable"].dft) == (True, False)
    assert found["min_frequency"].dft < STABLE
    assert not [name for name in found if name.endswith("300K")]
    # what the record itself says, with whatever tolerance, does not count
    said = side(ours, has_imaginary_modes=True, tolerance=0.0)
    assert values(said, reference(soft))["stable"].pet is True


def test_a_reference_of_frequencies_or_of_thermal_numbers_alone(ours: Outcome) -> None:
    blob = ours.blobs["phonon"]
    kept = {n: blob[n] for n in ("mesh_frequencies", "mesh_weights", "mesh_qpoints")}
    structure = side(ours).structure
    found = values(side(ours), Side({}, structure, {}, {"phonon": kept}.__getitem__))
    assert found["spectrum_w1"].difference == pytest.approx(0, abs=1e-12)
    assert found["min_frequency"].difference == pytest.approx(0, abs=1e-12)
    del kept["mesh_qpoints"]
    found = values(side(ours), Side({}, structure, {}, {"phonon": kept}.__getitem__))
    assert "spectrum_w1" in found
    assert not {"min_frequency", "stable"} & found.keys()
    numbers = {
        "thermal": [{"T": 300.0, "cv": 24.0, "s": 30.0, "f": -1.5}],
        "min_frequency": -0.04,
        "max_frequency": 7.0,
    }
    found = values(side(ours), Side(numbers, structure))
    thermal = next(p for p in ours.result["thermal"] if p["T"] == 300.0)
    assert found["f_300K"].difference == pytest.approx(thermal["f"] + 1.5)
    assert found["stable"].dft is True
    assert "spectrum_w1" not in found


def test_a_correction_is_on_both_sides_or_on_neither(ours: Outcome) -> None:
    polarized = next(phonon([LAYERED], AsePotential(), settings(NAC)))
    plain = by_phonopy(LAYERED, np.array(ours.result["supercell_matrix"]))
    plain.force_constants = ours.blobs["phonon"]["force_constants"]
    found = values(side(polarized), reference(plain))
    assert (found["nac"].pet, found["frequencies_largest"].difference) == (
        False, pytest.approx(0, abs=1e-6),
    )  # fmt: skip
    both = values(side(polarized), side(polarized))
    assert both["nac"].dft is True
    assert both["max_frequency"].pet == pytest.approx(polarized.result["max_frequency"])
    assert both["max_frequency"].pet > found["max_frequency"].pet + 0.01
    structure = side(ours).structure
    with pytest.raises(NotComparable, match="not known"):
        values(side(polarized), Side({"max_frequency": 7.0}, structure))
    with pytest.raises(NotComparable, match="DFT has one"):
        values(side(ours), Side({"max_frequency": 7.0, "has_nac": True}, structure))
    assert "max_frequency" in values(side(ours), Side({"max_frequency": 7.0}, structure))


def test_force_constants_that_do_not_fit_their_cell_are_refused(ours: Outcome) -> None:
    arrays = {"force_constants": np.zeros((1, 8, 3, 3)), "supercell_matrix": np.eye(3)}
    broken = Side({}, side(ours).structure, {}, {"phonon": arrays}.__getitem__)
    with pytest.raises(NotComparable, match="primitive_cell"):
        values(side(ours), broken)
