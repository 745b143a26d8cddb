from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.units import GPa
from pymatgen.core import Structure
from pymatgen.io.ase import AseAtomsAdaptor
from scipy.spatial.transform import Rotation

from pet_flows.properties.comparison import Side, Value
from pet_flows.properties.registry import get_property


def side(atoms: Atoms, wrong: float = 0.0, calls: list[str] | None = None) -> Side:
    """EMT's result, with forces scaled by ``1 + wrong``."""
    atoms = atoms.copy()
    atoms.calc = EMT()
    forces = (1 + wrong) * atoms.get_forces()
    stress = atoms.get_stress(voigt=False) / GPa

    def arrays(name: str) -> dict[str, np.ndarray]:
        if calls is not None:
            calls.append(name)
        return {"static": {"forces": forces}}[name]

    result = {
        "energy_per_atom": atoms.get_potential_energy() / len(atoms),
        "max_force": float(np.linalg.norm(forces, axis=1).max()),
        "stress": stress.tolist(),
        "pressure": float(-np.trace(stress) / 3),
    }
    return Side(result, AseAtomsAdaptor.get_structure(atoms), {}, arrays)


def values(ours: Side, theirs: Side) -> dict[str, Value]:
    return {value.name: value for value in get_property("static").compare(ours, theirs)}


@pytest.fixture
def rattled() -> Atoms:
    atoms = bulk("Cu", a=3.55) * (2, 2, 1)
    atoms.numbers[1] = 79
    atoms.rattle(0.05, seed=2)
    return atoms


def rotated(atoms: Atoms) -> Atoms:
    """In another orientation, order and setting."""
    turned = atoms[[2, 0, 3, 1]]
    turned.set_cell(
        np.array([[0, 1, 0], [0, 0, 1], [1, 1, 0]]) @ atoms.cell.array, scale_atoms=False
    )
    matrix = Rotation.random(rng=4).as_matrix()
    turned.set_cell(turned.cell.array @ matrix)
    turned.positions = turned.positions @ matrix + [0.3, 0.1, -0.7]
    return turned


def test_the_same_crystal_rotated_has_the_same_forces_and_stress(rattled: Atoms) -> None:
    found = values(side(rotated(rattled)), side(rattled))
    assert side(rattled).result["max_force"] > 0.3
    for name in ("energy_per_atom", "pressure", "max_force"):
        assert found[name].difference == pytest.approx(0, abs=1e-9)
    for name in ("forces_mae", "forces_rmse", "forces_largest", "stress_mae"):
        assert found[name].difference == pytest.approx(0, abs=1e-7)
        assert found[name].pet is None


def test_force_errors_are_those_of_numpy(rattled: Atoms) -> None:
    found = values(side(rotated(rattled), wrong=0.1), side(rattled))
    rattled.calc = EMT()
    wrong = 0.1 * rattled.get_forces()
    # MAE over components depends on the axes, which are DFT's
    assert found["forces_mae"].difference == pytest.approx(np.abs(wrong).mean())
    assert found["forces_rmse"].difference == pytest.approx(np.sqrt((wrong**2).mean()))
    assert found["forces_largest"].difference == pytest.approx(np.linalg.norm(wrong, axis=1).max())


def test_another_geometry_has_an_energy_but_no_force_errors(rattled: Atoms) -> None:
    other = rattled.copy()
    other.positions[0, 0] += 0.05
    found = values(side(other), side(rattled))
    assert set(found) == {"energy_per_atom", "pressure", "max_force", "volume_per_atom"}
    squeezed = rattled.copy()
    squeezed.set_cell(0.99 * rattled.cell.array, scale_atoms=True)
    assert "stress_mae" not in values(side(squeezed), side(rattled))


def test_a_supercell_has_the_forces_of_its_primitive_cell(rattled: Atoms) -> None:
    found = values(side(rattled * (1, 2, 1)), side(rattled))
    assert found["forces_largest"].difference == pytest.approx(0, abs=1e-9)


def test_references_without_forces_or_stress_are_compared_by_what_they_have(
    rattled: Atoms,
) -> None:
    structure = AseAtomsAdaptor.get_structure(rattled)
    found = values(side(rattled), Side({"energy_per_atom": -1.0}, structure))
    assert set(found) == {"energy_per_atom", "volume_per_atom"}
    assert found["volume_per_atom"].dft == pytest.approx(structure.volume / len(structure))
    stress: dict[str, Any] = {"stress": side(rattled).result["stress"]}
    assert set(values(side(rattled), Side(stress, structure))) == {
        "stress_mae", "volume_per_atom",
    }  # fmt: skip
    wrong_size = Side({}, structure, {}, lambda name: {"forces": np.zeros((3, 3))})
    assert set(values(side(rattled), wrong_size)) == {"volume_per_atom"}


def test_molecules_have_an_energy() -> None:
    box = Structure(np.eye(3) * 9, ["N", "N"], [[0, 0, 0], [0, 0, 0.12]])
    box.lattice = type(box.lattice)(box.lattice.matrix, pbc=(False, False, False))
    both = Side({"energy_per_atom": -8.0}, box), Side({"energy_per_atom": -8.5}, box)
    assert set(values(*both)) == {"energy_per_atom"}
    assert values(*both)["energy_per_atom"].difference == pytest.approx(0.5)
