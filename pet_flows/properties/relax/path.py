"""How a relaxation went, step by step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

#: points of a path that a record holds
LONGEST_PATH = 500


class PathPoint(NamedTuple):
    """Where a structure was after one of its steps."""

    energy_per_atom: float
    """eV"""
    max_force: float
    """eV/Å"""
    volume_per_atom: float | None
    """Å³; None without a cell"""


def path_of(points: Sequence[PathPoint]) -> dict[str, list[Any]]:
    """Give a path as a record has it; of a very long one every few steps, both ends among them."""
    n = min(len(points), LONGEST_PATH)
    steps: list[int] = np.linspace(0, len(points) - 1, n).round().astype(int).tolist()
    chosen = [points[step] for step in steps]
    return {
        "step": steps,
        "energy_per_atom": [point.energy_per_atom for point in chosen],
        "max_force": [point.max_force for point in chosen],
        "volume_per_atom": [point.volume_per_atom for point in chosen],
    }
