from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import bulk
from ase.calculators.emt import EMT
from ase.calculators.lj import LennardJones
from ase.eos import EquationOfState as AseEOS
from ase.units import GPa

from pet_flows.engines.potential import Potential
from pet_flows.properties.eos import birch_murnaghan
from pet_flows.properties.eos.declaration import EOSSettings
from pet_flows.properties.eos.eos import eos
from pet_flows.properties.registry import get_property
from pet_flows.properties.relax.relax import relax
from tests.properties.stub import AsePotential


def test_the_fit_returns_what_went_in() -> None:
    made = birch_murnaghan.EquationOfState(20.3, -5.4, 97.0, 4.3, 0.0)
    volumes = np.linspace(18.5, 22.0, 7)
    found = birch_murnaghan.fit(volumes, birch_murnaghan.energy(made, volumes))
    assert found is not None
    assert found.v0 == pytest.approx(20.3, rel=1e-8)
    assert found.e0 == pytest.approx(-5.4, rel=1e-10)
    assert found.b0 == pytest.approx(97.0, rel=1e-6)
    assert found.b0_prime == pytest.approx(4.3, rel=1e-5)
    assert found.residual < 1e-10


def test_the_fit_knows_when_there_is_no_minimum() -> None:
    volumes = np.linspace(18.0, 22.0, 7)
    assert birch_murnaghan.fit(volumes, -0.1 * volumes) is None
    assert birch_murnaghan.fit(volumes, -((volumes - 20) ** 2)) is None


def test_agrees_with_ase(emt: AsePotential) -> None:
    outcome = next(eos([bulk("Cu", a=3.59)], emt))
    assert outcome.state == "ok"
    result = outcome.result
    get_property("eos").result.model_validate(result)
    ase = AseEOS(result["volumes"], result["energies"], eos="birchmurnaghan")
    v0, e0, b0 = ase.fit()
    assert result["v0_per_atom"] == pytest.approx(v0, rel=1e-5)
    assert result["e0_per_atom"] == pytest.approx(e0, abs=1e-6)
    assert result["b0"] == pytest.approx(b0 / GPa, rel=1e-3)
    assert emt.evaluator.evaluated == 7  # symmetry leaves nothing to relax


def test_energies_are_those_of_the_volumes(emt: AsePotential) -> None:
    result = next(eos([bulk("Ni", "hcp", a=2.5, c=4.1)], emt)).result
    for volume, energy in zip(result["volumes"], result["energies"], strict=True):
        best = min(
            _energy("Ni", volume, ratio) for ratio in np.linspace(1.58, 1.70, 61)
        )  # the shape has relaxed
        assert energy == pytest.approx(best, abs=2e-5)


def _energy(element: str, volume: float, ratio: float) -> float:
    a = (4 * volume / (np.sqrt(3) * ratio)) ** (1 / 3)
    atoms = bulk(element, "hcp", a=a, c=ratio * a)
    atoms.calc = EMT()
    return atoms.get_potential_energy() / 2


@pytest.mark.parametrize("a", [3.40, 3.85])
def test_the_range_moves_to_the_minimum(emt: AsePotential, a: float) -> None:
    there = next(eos([bulk("Cu", a=3.59)], emt)).result
    outcome = next(eos([bulk("Cu", a=a)], emt))
    assert outcome.state == "ok"
    assert outcome.result["v0_per_atom"] == pytest.approx(there["v0_per_atom"], rel=2e-3)
    assert outcome.result["b0"] == pytest.approx(there["b0"], rel=0.03)


def test_no_minimum_is_a_failure_with_its_points() -> None:
    repulsive = AsePotential(lambda: LennardJones(sigma=4.0, epsilon=1e-3, rc=4.2))
    outcome = next(eos([bulk("Cu", a=3.0)], repulsive))
    assert outcome.state == "failed"
    assert outcome.reason == "no_minimum"
    assert "falls towards larger volumes" in outcome.message
    assert len(outcome.result["volumes"]) == len(outcome.result["energies"]) == 7


def test_unconverged_volumes_are_not_hidden(emt: AsePotential) -> None:
    atoms = bulk("Cu", "hcp", a=2.6, c=4.6)
    outcome = next(eos([atoms], emt, EOSSettings(steps=1)))
    assert outcome.state == "unconverged"
    assert outcome.reason == "steps_exhausted"


def test_single_points_when_nothing_relaxes(emt: AsePotential) -> None:
    outcome = next(eos([bulk("Cu", "hcp", a=2.55, c=4.3)], emt, EOSSettings(relax="none")))
    assert outcome.state == "ok"
    assert outcome.n_evaluations == 7


def test_a_batch_of_real_crystals(pet: Potential) -> None:
    given = [bulk("Si", a=5.5), bulk("W"), bulk("Xe", "fcc", a=6.0), bulk("Cu", cubic=True)]
    relaxed = sorted(relax(given, pet), key=lambda o: o.index)
    kept = [relaxed[n] for n in (0, 1, 3)]
    structures = [o.atoms for o in kept]
    found = sorted(eos(structures, pet, None, [o.inherited for o in kept]), key=lambda o: o.index)
    for before, outcome in zip(kept, found, strict=True):
        assert outcome.state == "ok", outcome.message
        assert outcome.reference_digest == before.reference_digest
        volume = before.atoms.get_volume() / len(before.atoms)
        assert outcome.result["v0_per_atom"] == pytest.approx(volume, rel=0.02)
        assert outcome.result["b0"] > 0
        assert outcome.n_evaluations >= 7


def test_a_volume_that_memory_could_not_hold_is_computed_again() -> None:
    largest = max(next(eos([bulk("Cu", a=3.59)], AsePotential())).result["volumes"])

    class Full(EMT):
        def calculate(self, atoms: Atoms, *args: object, **kwargs: object) -> None:
            if atoms.get_volume() > largest - 0.01:
                raise MemoryError
            super().calculate(atoms, *args, **kwargs)

    outcome = next(eos([bulk("Cu", a=3.59)], AsePotential(Full)))
    assert (outcome.state, outcome.reason) == ("failed", "out_of_memory")
    assert outcome.retryable
    assert outcome.message.startswith("1 of 7 volumes are missing: ")
    assert len(outcome.result["volumes"]) == 6
