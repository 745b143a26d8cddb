"""The derivative of the rotation in a deformation."""

import numpy as np
import pytest

from pet_flows.symmetrization.polar import Polar
from tests.symmetrization.systems import orthogonal


@pytest.mark.parametrize("strain", [0.0, 1e-9, 0.1])
def test_derivative_even_where_stretches_are_equal(strain):
    """The unstrained crystal, where the derivative of an SVD does not exist."""
    stretch = np.eye(3) + strain * np.diag([1.0, 0.5, 0.5])
    q = orthogonal(3)
    deformation = q.T @ stretch @ q @ orthogonal(5)
    of_rotation = np.random.default_rng(1).normal(size=(3, 3))
    step, numeric = 1e-5, np.zeros((3, 3))
    for index in np.ndindex(3, 3):
        change = np.zeros((3, 3))
        change[index] = step
        ends = [Polar.of(deformation + sign * change).rotation for sign in (1, -1)]
        numeric[index] = (of_rotation * (ends[0] - ends[1])).sum() / (2 * step)
    polar = Polar.of(deformation)
    np.testing.assert_allclose(polar.gradient(of_rotation), numeric, atol=1e-9)
    np.testing.assert_allclose(polar.rotation, orthogonal(5), atol=1e-14)


def test_gives_the_stress_formula():
    """σ' = (s_j T'_ij + s_i T'_ji) / (s_i + s_j) follows from ∂E/∂Q = T Q, Q = Rᵀ."""
    rng = np.random.default_rng(2)
    torques = rng.normal(size=(3, 3))  # T in the lab frame, not symmetric
    deformation = np.eye(3) + 0.1 * rng.normal(size=(3, 3))
    polar = Polar.of(deformation)
    of_rotation = (torques @ polar.rotation.T).T
    total = torques + deformation.T @ polar.gradient(of_rotation)

    s, left, turn = polar.stretches, polar.axes, polar.rotation
    canonical = left.T @ (turn @ torques @ turn.T) @ left
    formula = (s[None, :] * canonical + s[:, None] * canonical.T) / (s[:, None] + s[None, :])
    np.testing.assert_allclose(total, turn.T @ left @ formula @ left.T @ turn, atol=1e-13)
