"""Lattice thermal conductivity: phono3py by hand, and what any conductivity must obey."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from scipy.spatial.transform import Rotation

from pet_flows.errors import PetFlowsError
from pet_flows.properties.kappa.declaration import ConductivitySettings
from pet_flows.properties.kappa.kappa import conductivity
from pet_flows.properties.outcome import Outcome
from pet_flows.properties.registry import get_property
from tests.properties.stub import AsePotential

SMALL = ConductivitySettings(
    min_length=7.0, third_min_length=7.0, mesh=(6, 6, 6), temperatures=(300.0, 2000.0, 4000.0)
)


def compute(emt: AsePotential, atoms: Atoms, **changes: object) -> Outcome:
    outcome = next(conductivity([atoms], emt, SMALL.model_copy(update=changes)))
    assert outcome.state == "ok", outcome.message
    get_property("kappa").result.model_validate(outcome.result)
    return outcome


def tensors(outcome: Outcome) -> np.ndarray:
    return np.array([point["tensor"] for point in outcome.result["kappa"]])


def test_phono3py_by_hand(emt: AsePotential) -> None:
    pytest.importorskip("phono3py")
    from phono3py import Phono3py
    from phonopy.structure.atoms import PhonopyAtoms

    outcome = compute(emt, bulk("Cu", cubic=True))
    blob = outcome.blobs["kappa"]
    hand = Phono3py(
        PhonopyAtoms(
            numbers=blob["primitive_numbers"],
            cell=blob["primitive_cell"],
            positions=blob["primitive_positions"],
        ),
        supercell_matrix=outcome.result["third_supercell_matrix"],
        primitive_matrix="P",
    )
    hand.generate_displacements(distance=0.03)
    forces = []
    for displaced in hand.supercells_with_displacements:
        atoms = Atoms(displaced.symbols, displaced.positions, cell=displaced.cell, pbc=True)
        atoms.calc = EMT()
        forces.append(atoms.get_forces())
    hand.forces = np.array(forces)
    hand.produce_fc3(fc_calculator="symfc")
    hand.mesh_numbers = SMALL.mesh
    hand.init_phph_interaction(
        symmetrize_tetrahedra=True, exclude_gamma_acoustic=True, average_degenerate_weights=True
    )
    hand.run_thermal_conductivity(temperatures=SMALL.temperatures)
    theirs = hand.thermal_conductivity.kappa[0][:, :3].mean(1)
    ours = [point["mean"] for point in outcome.result["kappa"]]
    # its second order comes from the larger displacements
    assert ours == pytest.approx(theirs, rel=0.01)
    assert blob["third_order"] == pytest.approx(hand.fc3, abs=1e-3)
    assert blob["third_order"].shape == (1, 27, 27, 3, 3, 3)
    assert np.abs(blob["third_order"].sum(2)).max() < 1e-9  # acoustic sum rule


def test_cubic_crystals_conduct_alike_in_all_directions_and_less_when_hot(
    emt: AsePotential,
) -> None:
    pytest.importorskip("phono3py")
    outcome = compute(emt, bulk("Cu"), mesh=(4, 4, 4))
    found = tensors(outcome)
    assert found == pytest.approx(found[:, :1, :1] * np.eye(3), abs=1e-6)
    # classical limit: three-phonon scattering grows like T
    assert found[1, 0, 0] / found[2, 0, 0] == pytest.approx(2.0, rel=2e-3)
    near = compute(emt, bulk("Cu"), mesh=(4, 4, 4), pair_cutoff=3.0)
    assert near.result["n_displacements"] < outcome.result["n_displacements"]
    assert near.result["kappa"][0]["mean"] == pytest.approx(found[0, 0, 0], rel=0.05)
    mixed = compute(emt, bulk("Cu"), mesh=(4, 4, 4), pair_cutoff=3.0, isotopes=True)
    assert mixed.result["kappa"][0]["mean"] < near.result["kappa"][0]["mean"]


def test_the_tensor_turns_with_its_crystal(emt: AsePotential) -> None:
    pytest.importorskip("phono3py")
    atoms = bulk("Cu", "hcp", a=2.56, c=4.15)
    turn = Rotation.random(rng=4).as_matrix()
    turned = atoms.copy()
    turned.set_cell(atoms.cell.array @ turn, scale_atoms=True)
    settings = {"mesh": (5, 5, 2), "pair_cutoff": 3.0}  # no point on an edge of the zone
    one, other = (tensors(compute(emt, a, **settings)) for a in (atoms, turned))
    assert one[0, 2, 2] != pytest.approx(one[0, 0, 0], rel=1e-3)
    assert other == pytest.approx(turn.T @ one @ turn, rel=1e-8, abs=1e-8)


def test_failures_stay_alone_and_say_what_to_do(emt: AsePotential) -> None:
    pytest.importorskip("phono3py")
    slab = bulk("Cu", cubic=True)
    slab.pbc = (True, True, False)
    emt.evaluator.refuse = lambda system: 28 in system.numbers
    settings = SMALL.model_copy(update={"mesh": (3, 3, 3)})
    found = list(conductivity([slab, bulk("Ni"), bulk("Cu")], emt, settings))
    assert [(o.index, o.reason) for o in found] == [
        (0, "not_periodic"),
        (1, "not_finite"),
        (2, None),
    ]
    many = next(conductivity([bulk("Cu")], emt, SMALL.model_copy(update={"max_displacements": 20})))
    assert many.reason == "too_many_displacements"
    uneven = next(conductivity([bulk("Cu")], emt, SMALL.model_copy(update={"mesh": (3, 3, 2)})))
    assert uneven.reason == "mesh_not_symmetric"
    gamma = next(conductivity([bulk("Cu")], emt, SMALL.model_copy(update={"mesh": (1, 1, 1)})))
    assert gamma.reason == "no_scattering"
    tiny = next(conductivity([bulk("Cu")], emt, SMALL.model_copy(update={"third_min_length": 5.0})))
    assert tiny.reason == "no_third_order"
    assert "third_min_length" in str(tiny.message)


@pytest.mark.parametrize("cutoff", [None, 3.0])
def test_displaced_cells_are_counted_before_they_are_made(
    emt: AsePotential, cutoff: float | None
) -> None:
    pytest.importorskip("phono3py")
    few = SMALL.model_copy(update={"pair_cutoff": cutoff, "max_displacements": 1})
    refused = next(conductivity([bulk("Cu")], emt, few))
    assert refused.reason == "too_many_displacements"
    done = compute(emt, bulk("Cu"), pair_cutoff=cutoff)
    third = done.result["n_displacements"] - 1  # one is of the second order
    assert f" {third} displaced cells" in str(refused.message)


def test_without_phono3py_one_sentence_says_so(
    emt: AsePotential, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "phono3py", None)
    with pytest.raises(PetFlowsError, match="pet-flows\\[kappa\\]"):
        next(conductivity([bulk("Cu")], emt))
