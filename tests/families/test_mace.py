"""MACE of random weights beside its own calculator."""

import os

import numpy as np
import pytest
import torch

from pet_flows.engines.ase import SymmetrizedCalculator
from pet_flows.engines.potential import get_potential
from pet_flows.errors import PetFlowsError
from pet_flows.models.resolve import resolve
from pet_flows.models.spec import PotentialSpec
from tests.families.atoms import changes, salt, silicon, values

pytest.importorskip("mace", reason="needs pip install 'pet-flows[mace]', in an environment without "
                    "sevenn, whose e3nn is newer")  # fmt: skip


def save(path, made=torch.float64, channels="8x0e+8x1o", max_ell=2, correlation=2, scale=1.0):
    """A model as its trainer writes it, of random weights, made in a number type."""
    from e3nn import o3
    from mace import modules

    from pet_flows.engines.foreign import process_as_it_is

    blocks = modules.interaction_classes
    with process_as_it_is(made):
        torch.manual_seed(0)
        model = modules.ScaleShiftMACE(
            r_max=4.5, num_bessel=6, num_polynomial_cutoff=5, max_ell=max_ell, num_interactions=2,
            interaction_cls=blocks["RealAgnosticResidualInteractionBlock"],
            interaction_cls_first=blocks["RealAgnosticInteractionBlock"],
            num_elements=3, atomic_numbers=[11, 14, 17], hidden_irreps=o3.Irreps(channels),
            MLP_irreps=o3.Irreps("8x0e"), gate=torch.nn.functional.silu, correlation=correlation,
            atomic_energies=np.array([-1.0, -2.0, -3.0]), avg_num_neighbors=10.0,
            atomic_inter_scale=1.0, atomic_inter_shift=0.1,
        )  # fmt: skip
        with torch.no_grad():
            for parameter in model.parameters():
                parameter *= scale
        torch.save(model, path)
    return path


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    return save(tmp_path_factory.mktemp("mace") / "rough.model")


def spec(file, **changes):
    return resolve(PotentialSpec(model=f"mace:{file}", device="cpu", **changes), trust=True).spec


@pytest.mark.parametrize(("dtype", "tolerance"), [("float64", 1e-9), ("float32", 2e-5)])
def test_energies_forces_and_stress_are_those_of_its_calculator(file, dtype, tolerance):
    from mace.calculators import MACECalculator

    before = torch.get_default_dtype(), os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")
    ours = SymmetrizedCalculator(spec(file, dtype=dtype))
    assert (torch.get_default_dtype(), os.environ.get("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD")) == before
    assert ours.potential.reach == pytest.approx(9.0)
    own = MACECalculator(model_paths=str(file), device="cpu", default_dtype="float64")
    for atoms in (salt(), silicon()):
        for one, other in zip(values(atoms, ours), values(atoms, own), strict=True):
            np.testing.assert_allclose(one, other, atol=tolerance)


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_one_that_was_made_in_float32_is_invariant_to_round_off_in_float64(tmp_path, sign):
    """With the float32 coefficients that it holds, forces change by 3e-9 of the largest."""
    path = save(
        tmp_path / "single.model", torch.float32, "8x0e+8x1o+8x2e", max_ell=3, correlation=3,
        scale=1.6,
    )  # fmt: skip
    _, change, largest = changes(salt(), SymmetrizedCalculator(spec(path)), sign)
    assert largest > 1.0  # weights as small as random ones are hide the angles
    assert change < 1e-12 * largest


def test_a_crystal_symmetrization_changes_nothing(file):
    plain = values(silicon(), SymmetrizedCalculator(spec(file)))
    crystal = values(silicon(), SymmetrizedCalculator(spec(file, symmetrization="crystal")))
    for one, other in zip(plain, crystal, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-10)


def test_what_it_cannot_do_is_said(file):
    with pytest.raises(PetFlowsError, match="--trust"):
        resolve(f"mace:{file}")
    with pytest.raises(PetFlowsError, match="ecse needs"):
        get_potential(spec(file, symmetrization="ecse"))
    with pytest.raises(PetFlowsError, match="no variants"):
        get_potential(spec(file, variant="omat"))
    with pytest.raises(PetFlowsError, match="no MACE model at"):
        resolve("mace:nowhere.model")
