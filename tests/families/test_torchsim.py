"""Any model of torch-sim as a potential: its Lennard-Jones beside ASE's."""

import numpy as np
import pytest
import torch
from ase.build import bulk
from ase.calculators.lj import LennardJones

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import get_potential
from pet_flows.errors import PetFlowsError

NAME = "torchsim:torch_sim.models.lennard_jones:LennardJonesModel(sigma=2.3,epsilon=0.3,cutoff=5.0)"


@pytest.fixture(autouse=True)
def interpreted():
    # compiling takes longer than all that is evaluated here
    with torch.compiler.set_stance("force_eager"):
        yield


def argon(n=1):
    atoms = bulk("Ar", a=4.0, cubic=True) * (n, 1, 1)
    atoms.rattle(0.1, seed=n)
    return atoms


def values(atoms, calculator):
    atoms = atoms.copy()
    atoms.calc = calculator
    return atoms.get_forces(), atoms.get_stress()


@pytest.mark.parametrize("symmetrization", ["none", "crystal"])
def test_lennard_jones_of_torch_sim_is_that_of_ase(symmetrization):
    # their energies differ by the shift at the cutoff
    ours = values(argon(), SymmetrizedCalculator(NAME, symmetrization=symmetrization))
    theirs = values(argon(), LennardJones(sigma=2.3, epsilon=0.3, rc=5.0))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_structures_go_in_batches_and_come_back_in_order():
    potential = get_potential(NAME)
    open_ = argon(2)
    open_.pbc = False
    systems = [System.of(a, potential.bind(a)) for a in (argon(2), open_, argon(1))]
    together = potential.evaluator.evaluate(systems)
    for system, one in zip(systems, together, strict=True):
        alone = potential.evaluator.evaluate([system])[0]
        assert one.energy == pytest.approx(alone.energy, abs=1e-12)
        np.testing.assert_allclose(one.forces, alone.forces, atol=1e-12)
    assert together[1].stress is None
    assert together[0].energy < together[1].energy


def test_what_is_no_model_is_said():
    with pytest.raises(PetFlowsError, match=r"is not a subclass of torch_sim\.models\.interface"):
        get_potential("torchsim:torch_sim.state:SimState()")
