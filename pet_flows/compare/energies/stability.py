"""How well a potential tells stable crystals from others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pet_flows.compare.classification import Classification
from pet_flows.compare.statistics import r_squared


@dataclass(frozen=True)
class Stability:
    """How well a potential tells stable crystals from others, as matbench-discovery counts.

    Parameters
    ----------
    counts
        Stable is at most ``threshold`` above the hull; what the potential gives no energy for, it
        calls unstable. F1, precision, recall and the discovery acceleration factor are its.
    missing
        Crystals without an energy of the potential.
    mae, rmse
        eV/atom, over the others; None where there is none.
    r2
        None for fewer than two.
    """

    counts: Classification
    missing: int
    mae: float | None
    rmse: float | None
    r2: float | None


def stability(
    dft: Sequence[float], pet: Sequence[float | None], threshold: float = 0.0
) -> Stability:
    """Set distances from the hull beside DFT's.

    Parameters
    ----------
    dft, pet
        eV/atom above the hull, in the same order; None where the potential gave no energy.
    threshold
        eV/atom up to which a crystal is called stable.
    """
    absent = [value is None or math.isnan(value) for value in pet]
    said = [
        not nothing and value is not None and value <= threshold
        for value, nothing in zip(pet, absent, strict=True)
    ]
    counts = Classification.of(zip(said, [truth <= threshold for truth in dft], strict=True))
    pairs = [(p, d) for p, d, nothing in zip(pet, dft, absent, strict=True) if not nothing]
    if not pairs:
        return Stability(counts, len(absent), None, None, None)
    ours, theirs = np.array(pairs, dtype=float).T
    return Stability(
        counts,
        sum(absent),
        float(np.abs(ours - theirs).mean()),
        float(np.sqrt(((ours - theirs) ** 2).mean())),
        r_squared(ours, theirs) if len(pairs) > 1 else None,
    )
