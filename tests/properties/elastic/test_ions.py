"""Ions that follow strains, as far as they can be told from those that fall."""

from __future__ import annotations

import numpy as np
import pytest

from pet_flows.errors import StructureError
from pet_flows.properties.elastic.ions import refuse_falling

#: of two ions that move apart
APART = np.array([[0.0, 0.0, 0.5], [0.0, 0.0, -0.5]])
PAIRS = [(0.001, 0.002), (0.01, 0.02), (0.02, 0.022), (0.001, 0.05)]


def ways(of, magnitudes):
    return {(0, sign * m): sign * of(m) * APART for m in magnitudes for sign in (1, -1)}


@pytest.mark.parametrize("pair", PAIRS)
def test_ions_that_follow_are_not_refused(pair):
    far = pair[1]
    refuse_falling(ways(lambda m: 5 * m, pair), pair, 1e-5)
    # a tenth of a soft one's way, at the largest strain, is not linear
    refuse_falling(ways(lambda m: 5 * m * (1 + 0.1 * (m / far) ** 2), pair), pair, 1e-5)
    # what the nearer ones have left undone is as many times larger as the strain
    refuse_falling(ways(lambda m: m if m == far else m + 0.002, pair), pair, 1e-5)
    # of ions at rest below `fmax`, as it was set
    refuse_falling(ways(lambda m: 0.03 * (m == far), pair), pair, 0.05)


@pytest.mark.parametrize("pair", PAIRS)
def test_ions_that_fall_are_refused(pair):
    def refused(of):
        with pytest.raises(StructureError) as caught:
            refuse_falling(ways(of, pair), pair, 1e-5)
        assert caught.value.reason == "unstable_ions"

    refused(lambda m: 0.5 + m)
    refused(lambda m: 2.0 * (m / pair[1]) ** 0.5)


def test_ions_on_their_way_are_not_judged():
    pair = PAIRS[0]
    moved = ways(lambda m: 0.5 + m, pair)
    refuse_falling({k: v for k, v in moved.items() if abs(k[1]) == pair[1]}, pair, 1e-5)
