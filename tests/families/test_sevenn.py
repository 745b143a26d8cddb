"""SevenNet beside its own calculator."""

import numpy as np
import pytest

from pet_flows.compare.potential import level_of
from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import get_potential
from pet_flows.errors import PetFlowsError
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from tests.families.atoms import salt, silicon, values, water

pytest.importorskip("sevenn", reason="needs pip install 'pet-flows[sevenn]'")

#: eV, eV/Å, eV/Å³: round-off of float32, in which SevenNet's own calculator computes
TOLERANCES = (2e-5, 2e-5, 1e-6)


@pytest.fixture(scope="module")
def calculator():
    from sevenn.calculator import SevenNetCalculator

    return SevenNetCalculator("7net-0", device="cpu")


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("build", [salt, silicon, water])
def test_energies_forces_and_stress_are_those_of_its_calculator(calculator, build, dtype):
    ours = values(build(), SymmetrizedCalculator("sevenn:7net-0", dtype=dtype))
    theirs = values(build(), calculator)
    for one, other, tolerance in zip(ours, theirs, TOLERANCES, strict=False):
        np.testing.assert_allclose(one, other, atol=tolerance)


def test_levels_of_theory_are_variants():
    from sevenn.calculator import SevenNetCalculator

    for variant, functional in (("PBE", "PBE"), ("R2SCAN", "r2SCAN")):
        found = resolve(PotentialSpec(model="sevenn:7net-mf-0", variant=variant))
        assert found.functional == functional
        assert level_of(found.as_record()).functional == functional
        own = SevenNetCalculator("7net-mf-0", modal=variant, device="cpu")
        ours = values(silicon(), SymmetrizedCalculator(found.spec, dtype="float32"))
        np.testing.assert_allclose(ours[1], values(silicon(), own)[1], atol=2e-5)
    with pytest.raises(PetFlowsError, match="has the variants R2SCAN, PBE"):
        get_potential("sevenn:7net-mf-0")
    with pytest.raises(PetFlowsError, match="has no variants"):
        get_potential(PotentialSpec(model="sevenn:7net-0", variant="PBE"))


def test_batches_give_what_single_structures_give():
    potential = get_potential("sevenn:7net-0")
    systems = [System.of(atoms, potential.bind(atoms)) for atoms in (salt(), silicon(), salt())]
    together = potential.evaluator.evaluate(systems)
    for system, one in zip(systems, together, strict=True):
        alone = potential.evaluator.evaluate([system])[0]
        assert one.energy == pytest.approx(alone.energy, abs=1e-10)
        np.testing.assert_allclose(one.forces, alone.forces, atol=1e-10)
        np.testing.assert_allclose(one.stress, alone.stress, atol=1e-12)


def test_energies_by_atom_serve_ecse():
    # the potential is invariant to float64's round-off: any symmetrization gives the same
    plain = values(silicon(), SymmetrizedCalculator("sevenn:7net-0"))
    for symmetrization in ("ecse", "crystal"):
        ours = SymmetrizedCalculator("sevenn:7net-0", symmetrization=symmetrization)
        for one, other in zip(values(silicon(), ours), plain, strict=True):
            np.testing.assert_allclose(one, other, atol=1e-6)


def test_a_model_that_is_not_there():
    with pytest.raises(PetFlowsError, match=r"no model '7net-9'.*choose 7net-0"):
        resolve("sevenn:7net-9")
