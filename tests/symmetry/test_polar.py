"""The derivative of the rotation in a deformation."""

import numpy as np
import pytest
import torch

from pet_flows.symmetry.polar import polar_rotation
from tests.symmetry.systems import orthogonal


@pytest.mark.parametrize("strain", [0.0, 1e-9, 0.1])
def test_derivative_even_where_stretches_are_equal(strain):
    """The unstrained crystal, where the derivative of an SVD does not exist."""
    stretch = np.eye(3) + strain * np.diag([1.0, 0.5, 0.5])
    q = orthogonal(3)
    deformation = torch.tensor(q.T @ stretch @ q @ orthogonal(5), requires_grad=True)
    assert torch.autograd.gradcheck(polar_rotation, deformation, atol=1e-7)
    rotation = polar_rotation(deformation).detach().numpy()
    np.testing.assert_allclose(rotation, orthogonal(5), atol=1e-14)


def test_gives_the_stress_formula():
    """σ' = (s_j T'_ij + s_i T'_ji) / (s_i + s_j) follows from ∂E/∂Q = T Q and autograd."""
    rng = np.random.default_rng(2)
    torques = torch.tensor(rng.normal(size=(3, 3)))  # T in the lab frame, not symmetric
    deformation = np.eye(3) + 0.1 * rng.normal(size=(3, 3))
    strain = torch.zeros(3, 3, dtype=torch.float64, requires_grad=True)
    deformed = torch.tensor(deformation) @ (torch.eye(3, dtype=torch.float64) + strain)
    rotations = polar_rotation(deformed).T
    rotations.backward(torques @ rotations.detach())
    total = (torques + strain.grad).numpy()

    left, s, right = np.linalg.svd(deformation)
    turn = left @ right
    canonical = left.T @ (turn @ torques.numpy() @ turn.T) @ left
    formula = (s[None, :] * canonical + s[:, None] * canonical.T) / (s[:, None] + s[None, :])
    np.testing.assert_allclose(total, turn.T @ left @ formula @ left.T @ turn, atol=1e-13)
