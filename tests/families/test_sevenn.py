"""SevenNet beside its own calculator."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from pet_flows.compare.potential import level_of
from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.evaluation import System
from pet_flows.engines.potential import get_potential
from pet_flows.engines.sevenn_convolution import Convolution, with_channels_last
from pet_flows.errors import PetFlowsError
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from tests.families.atoms import changes, salt, silicon, values, water

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


@pytest.mark.parametrize(
    ("model", "variant"), [("7net-0", None), ("7net-l3i5", None), ("7net-mf-0", "PBE")]
)
def test_it_is_invariant_to_round_off(model, variant):
    """With e3nn's float32 coefficients water's energy changed by 1e-9 eV, its forces by 1e-8."""
    spec = PotentialSpec(model=f"sevenn:{model}", variant=variant, symmetrization="none")
    calculator = SymmetrizedCalculator(spec)
    rotation = Rotation.random(random_state=1).as_matrix()
    plain, turned = water(), water()
    turned.positions = plain.positions @ rotation
    energies, forces = values(plain, calculator)[:2], values(turned, calculator)[:2]
    np.testing.assert_allclose(forces[0], energies[0], atol=1e-12)
    np.testing.assert_allclose(forces[1], energies[1] @ rotation, atol=1e-12)


def test_inversion_is_none_of_its_symmetries_but_a_symmetrization_adds_it():
    """Its models are made with ``is_parity: False``: their scalars may be pseudoscalars."""
    given = PotentialSpec(model="sevenn:7net-mf-0", variant="PBE")
    for symmetrization, least, most in (("none", 1e-4, 1e-1), ("crystal", 0.0, 1e-12)):
        calculator = SymmetrizedCalculator(given, symmetrization=symmetrization)
        _, change, _ = changes(salt(), calculator, sign=-1.0)
        assert least <= change < most


def test_convolutions_are_those_of_sevennet():
    """But for the precision of e3nn's coefficients; a kind that is not known stays as it is."""
    from sevenn.util import load_checkpoint

    own = load_checkpoint("7net-0").build_model().double()._modules["1_convolution"]
    modules = {"convolution": own, "other": torch.nn.Identity()}
    with_channels_last(modules, torch.float64)
    assert type(modules["convolution"]) is Convolution
    assert type(modules["other"]) is torch.nn.Identity
    generator = torch.Generator().manual_seed(0)

    def data():
        generator.manual_seed(0)
        numbers = {own.key_x: (5, 480), own.key_filter: (40, 9), own.key_weight_input: (40, 8)}
        drawn = {
            key: torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)
            for key, shape in numbers.items()
        }
        drawn[own.key_edge_idx] = torch.randint(0, 5, (2, 40), generator=generator)
        return drawn

    found = []
    for module in (own, modules["convolution"]):
        given = data()
        sums = module(dict(given))[own.key_x]
        inputs = [tensor for tensor in given.values() if tensor.requires_grad]
        found.append([sums, *torch.autograd.grad(sums.sin().sum(), inputs)])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


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
