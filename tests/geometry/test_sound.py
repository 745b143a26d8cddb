"""What no potential can evaluate is refused, with a sentence that says which atoms or what cell."""

from __future__ import annotations

import numpy as np
import pytest

from pet_flows.errors import StructureError
from pet_flows.geometry.sound import refuse_crowded, refuse_flat

PERIODIC = (True, True, True)


@pytest.mark.parametrize(
    ("cell", "pbc", "said"),
    [
        ([[3, 0, 0], [0, 3, 0], [3, 3, 1e-6]], PERIODIC, r"enclose 9e-06 Å\^3"),
        ([[3, 0, 0], [6, 0, 0], [0, 0, 9]], (True, True, False), r"enclose (0|[0-9.]+e-\d+) Å\^2"),
        (np.diag([3, 3, 2e5]), PERIODIC, "longer than 1e"),
        ([[1e4, 0, 0], [1e4, 1e-6, 0], [0, 0, 9]], PERIODIC, "have to be independent"),
    ],
    ids=["plane", "line", "long", "nearly a plane"],
)
def test_flat_cells(cell, pbc, said):
    with pytest.raises(StructureError, match=said) as caught:
        refuse_flat(np.array(cell, dtype=float), pbc)
    assert caught.value.reason == "degenerate_cell"


def test_skewed_and_open_cells_are_not_flat():
    refuse_flat(np.array([[1, 0, 0], [200, 1, 0], [300, 500, 1]]) * 4.0, PERIODIC)
    refuse_flat(np.zeros((3, 3)), (False, False, False))
    refuse_flat(np.diag([3.0, 3.0, 0.0]), (True, True, False))


def test_crowds_are_named():
    cell = 4.0 * np.eye(3)
    positions = np.array([[0, 0, 0], [2, 2, 2], [3.8, 0, 0]], dtype=float)
    with pytest.raises(StructureError, match=r"Cu \(atom 0\) and O \(atom 2\) are 0\.200 Å apart"):
        refuse_crowded(["Cu", "Cu", "O"], positions, cell, PERIODIC)
    refuse_crowded(["Cu", "Cu", "O"], positions, cell, (False, True, True))
    with pytest.raises(StructureError, match=r"repeats every 0\.400 Å"):
        refuse_crowded(["Cu"], positions[:1], 0.1 * cell, PERIODIC)
    with pytest.raises(StructureError, match=r"has 0\.512 Å³ for 1 atoms") as caught:
        refuse_crowded(["Cu"], positions[:1], 0.2 * cell, PERIODIC)
    assert caught.value.reason == "degenerate_cell"
