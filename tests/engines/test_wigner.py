"""Tensor products of e3nn that were made in float32, in float64."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from pet_flows.engines.foreign import process_as_it_is
from pet_flows.engines.wigner import replace_rounded, with_exact_coefficients

o3 = pytest.importorskip("e3nn.o3", reason="needs pip install 'pet-flows[sevenn]'")


def product():
    with process_as_it_is(torch.float32):
        made = o3.FullyConnectedTensorProduct("2x0e+2x1o+2x2e", "1x0e+1x1o+1x2e+1x3o", "2x1o+2x2e")
    return made.double()


def error(made):
    """How far products of turned features are from turned products."""
    generator = torch.Generator().manual_seed(0)
    one, other = (
        torch.randn(20, irreps.dim, generator=generator, dtype=torch.float64)
        for irreps in (made.irreps_in1, made.irreps_in2)
    )
    turn = torch.from_numpy(Rotation.random(random_state=0).as_matrix())
    with process_as_it_is(torch.float64):  # matrices are made in the default number type
        left, right, out = (
            irreps.D_from_matrix(turn)
            for irreps in (made.irreps_in1, made.irreps_in2, made.irreps_out)
        )
    difference = made(one @ left.T, other @ right.T) - made(one, other) @ out.T
    return difference.abs().max().item()


def test_a_product_that_was_made_in_float32_is_covariant_to_round_off():
    made = product()
    assert error(made) > 1e-9  # what there is to mend
    with_exact_coefficients(made)
    assert error(made) < 1e-13


def test_coefficients_of_another_convention_and_precision_stay():
    exact = o3.wigner_3j(1, 2, 1, dtype=torch.float64)
    for other in (-exact.float().double(), exact.float(), exact[:1].float().double()):
        before = other.clone()
        replace_rounded(other, exact)
        assert torch.equal(other, before)
    rounded = exact.float().double()
    replace_rounded(rounded, exact)
    assert torch.equal(rounded, exact)
