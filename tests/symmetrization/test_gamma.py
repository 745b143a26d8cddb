"""The optical Γ modes of silicon stay degenerate, whichever way the crystal lies."""

import numpy as np
import pytest
from ase.build import bulk
from ase.units import _amu, _e

from pet_flows.engines.evaluation import System
from pet_flows.engines.evaluator import Evaluator
from tests.symmetrization.systems import orthogonal, raw, strategy_of, turned

#: √(eV/Å²/amu) in THz
TERAHERTZ = np.sqrt(_e / _amu) * 1e10 / (2 * np.pi) * 1e-12
STEP = 0.01  # Å
SILICON = bulk("Si", a=5.43, cubic=True)
#: the atoms that are translated copies of the first
COPIES = np.rint(4 * SILICON.get_scaled_positions()).astype(int)[:, 0] % 2 == 0


def displaced(spec, crystal, direction):
    """Evaluations with one atom moved along a direction, and against it."""
    strategy = strategy_of(spec)
    bound = strategy.bind(crystal)
    systems = []
    for sign in (1, -1):
        atoms = crystal.copy()
        atoms.positions[0] += sign * STEP * direction
        systems.append(System.of(atoms, bound))
    return Evaluator(raw(), strategy).evaluate(systems)


def row(plus, minus, q):
    """Row (3,) of the force constants at Γ in cubic axes: of an atom with itself and its copies."""
    return -(plus.forces - minus.forces)[COPIES].sum(0) @ q.T / (2 * STEP)


def modes(spec, q):
    """Frequencies (3,) THz from an atom moved along each cubic axis; evaluations of each."""
    crystal = turned(SILICON, q)
    constants, evaluations = np.zeros((3, 3)), set()
    for axis in range(3):
        plus, minus = displaced(spec, crystal, q[axis])
        constants[axis] = row(plus, minus, q)
        evaluations |= {plus.n_evaluations, minus.n_evaluations}
    # two equal masses against each other: ω² = 2 Φ / m
    squares = np.linalg.eigvalsh(constants + constants.T) / crystal.get_masses()[0]
    return TERAHERTZ * np.sign(squares) * np.sqrt(abs(squares)), evaluations


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_displacement_says_it_all(seed):
    """Along a cubic axis: 12 evaluations, the force along that axis, the same frequency."""
    q = orthogonal(seed)
    found, evaluations = modes("crystal", q)
    assert evaluations == {12}
    assert np.ptp(found) < 1e-6
    straight, _ = modes("crystal", np.eye(3))
    np.testing.assert_allclose(found, straight, rtol=0, atol=1e-6)
    along = row(*displaced("crystal", turned(SILICON, q), q[2]), q)
    assert abs(along[:2]).max() < 1e-9
    assert abs(along[2]) > 1e-3


def test_without_it_they_split():
    found, _ = modes("none", orthogonal(1))
    assert np.ptp(found) > 0.01
