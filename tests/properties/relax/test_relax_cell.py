"""What of the cell relaxes, under pressure or not, against ASE; float32 finished in float64."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.filters import FrechetCellFilter
from ase.optimize import BFGS
from ase.units import GPa

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.potential import Potential
from pet_flows.errors import PetFlowsError
from pet_flows.properties.registry import get_property
from pet_flows.properties.relax.declaration import RelaxSettings
from pet_flows.properties.relax.relax import relax

MODES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "cell": ({}, {}),
    "volume": ({"cell_constraint": "volume"}, {"constant_volume": True}),
    "shape": ({"cell_constraint": "shape"}, {"hydrostatic_strain": True}),
    "pressure": ({"pressure": 8.0}, {"scalar_pressure": 8.0 * GPa}),
    "shape under pressure": (
        {"cell_constraint": "shape", "pressure": -2.0},
        {"hydrostatic_strain": True, "scalar_pressure": -2.0 * GPa},
    ),
}


def lonsdaleite() -> Atoms:
    """Hexagonal silicon with c/a and the free parameter of its atoms off their places."""
    a, c, u = 3.85, 6.5, 0.0690
    places = [
        (1 / 3, 2 / 3, u),
        (2 / 3, 1 / 3, -u),
        (1 / 3, 2 / 3, 0.5 - u),
        (2 / 3, 1 / 3, 0.5 + u),
    ]
    return Atoms("Si4", cell=[a, a, c, 90, 90, 120], scaled_positions=places, pbc=True)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("optimizer", ["lbfgs", "bfgs"])
def test_the_same_as_ase(pet: Potential, mode: str, optimizer: str) -> None:
    ours, theirs = MODES[mode]
    given = lonsdaleite()
    settings = RelaxSettings(optimizer=optimizer, fmax=3e-4, smax=3e-4, **ours)
    (found,) = relax([given], pet, settings)
    assert found.state == "ok", found.message
    get_property("relax").result.model_validate(found.result)
    atoms = given.copy()
    atoms.calc = SymmetrizedCalculator(pet, inherited=found.inherited)
    BFGS(FrechetCellFilter(atoms, **theirs), logfile=None).run(fmax=2e-4, steps=300)
    # under pressure it is the enthalpy that has a minimum there
    enthalpy = atoms.get_potential_energy() + settings.pressure * GPa * atoms.get_volume()
    assert found.result["enthalpy_per_atom"] == pytest.approx(enthalpy / 4, abs=1e-5)
    assert found.atoms.get_volume() == pytest.approx(atoms.get_volume(), rel=1e-4)
    if settings.pressure == 0:
        assert found.result["energy_per_atom"] == found.result["enthalpy_per_atom"]


def test_what_is_kept_is_kept(pet: Potential) -> None:
    given = lonsdaleite()
    (fixed,) = relax([given], pet, RelaxSettings(cell_constraint="volume"))
    assert fixed.atoms.get_volume() == pytest.approx(given.get_volume(), rel=1e-9)
    assert abs(fixed.result["lattice"]["c"] / given.cell.cellpar()[2] - 1) > 1e-4
    (scaled,) = relax([given], pet, RelaxSettings(cell_constraint="shape"))
    ratio = (scaled.atoms.get_volume() / given.get_volume()) ** (1 / 3)
    np.testing.assert_allclose(scaled.atoms.cell.array, ratio * given.cell.array, atol=1e-8)
    (pressed,) = relax([given], pet, RelaxSettings(pressure=8.0))
    volume = pressed.atoms.get_volume() / 4
    assert abs(pressed.result["pressure"] - 8.0) * GPa * volume <= 0.001
    # what pressure adds to the energy it takes from the enthalpy
    assert fixed.result["energy_change"] < 0 < pressed.result["energy_change"]


def test_a_rounded_volume_is_kept_exactly(pet: Potential) -> None:
    """Snapping a cell to its symmetry must not change a volume that is to stay."""
    given = lonsdaleite()
    given.set_cell(given.cell.array + np.diag([1e-3, -1e-3, 2e-3]), scale_atoms=True)
    (found,) = relax([given], pet, RelaxSettings(cell_constraint="volume"))
    assert found.atoms.get_volume() == pytest.approx(given.get_volume(), rel=1e-9)
    lengths = found.atoms.cell.lengths()
    assert lengths[0] == pytest.approx(lengths[1], rel=1e-9)


TIGHT = RelaxSettings(fmax=2e-7, smax=2e-7)


def test_float32_is_finished_in_float64(pet: Potential) -> None:
    given = [lonsdaleite(), bulk("Cu", a=3.7)]
    exact = sorted(relax(given, pet, TIGHT), key=lambda o: o.index)
    single = sorted(relax(given, pet.with_(dtype="float32"), TIGHT), key=lambda o: o.index)
    for one, other in zip(exact, single, strict=True):
        assert other.state == "ok", other.message
        get_property("relax").result.model_validate(other.result)
        assert other.result["max_force"] <= 2e-7
        close = 1e-9 if other.result["n_steps_float64"] else 1e-5
        energies = one.result["energy_per_atom"], other.result["energy_per_atom"]
        assert energies[0] == pytest.approx(energies[1], abs=close)
        assert one.result["n_steps_float64"] == 0
    hexagonal = single[0]
    assert hexagonal.result["n_steps_float64"] > 0
    assert any("finished in float64" in w for w in hexagonal.warnings)
    # every step was counted: one evaluation for each, and one to begin each stage
    per_step = exact[0].n_evaluations // (exact[0].result["n_steps"] + 1)
    assert hexagonal.n_evaluations == per_step * (hexagonal.result["n_steps"] + 2)


def test_without_float64_it_says_that_it_stalled(
    pet: Potential, monkeypatch: pytest.MonkeyPatch
) -> None:
    single = pet.with_(dtype="float32")

    def refuse(**changes: object) -> Potential:
        raise PetFlowsError("This model is for float32 alone.")

    monkeypatch.setattr(single, "with_", refuse)
    (found,) = relax([lonsdaleite()], single, TIGHT)
    assert (found.state, found.reason) == ("unconverged", "stalled")
    assert "set dtype to float64" in found.message
    assert any("float32 alone" in w for w in found.warnings)


def test_a_loose_criterion_stays_in_float32(pet: Potential) -> None:
    (found,) = relax([lonsdaleite()], pet.with_(dtype="float32"))
    assert found.state == "ok"
    assert found.result["n_steps_float64"] == 0
