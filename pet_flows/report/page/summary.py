"""What is said about a series: mean errors, how sure they are, and whether the spread tells."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pet_flows.compare.calibration import calibration
from pet_flows.compare.statistics import interval, r_squared
from pet_flows.report.page.series import Series

#: structures with a spread that a calibration begins to say anything with
_FEWEST = 10


def summary(series: Series, materials: Sequence[str]) -> dict[str, Any]:
    """Mean errors of a series.

    Parameters
    ----------
    series
        With at least one structure.
    materials
        Identifier of each row of the table: materials are drawn in the bootstrap.

    Returns
    -------
    dict
        ``n``, ``mae`` with its 95 % ``interval``, ``bias``, ``rmse``, ``median`` and ``largest`` of
        |difference|, ``mape``, ``r2`` (None of raw energies), ``calibration``.
    """
    differences = np.array(series.difference)
    absolute = np.abs(differences)
    relative = [abs(value) for value in series.relative if value is not None]
    pairs = [
        (pet, dft)
        for pet, dft in zip(series.pet, series.dft, strict=True)
        if pet is not None and dft is not None
    ]
    return {
        "n": len(differences),
        "mae": absolute.mean(),
        "interval": interval(absolute, [materials[number] for number in series.row]),
        "bias": differences.mean(),
        "rmse": np.sqrt((differences**2).mean()),
        "median": np.median(absolute),
        "largest": absolute.max(),
        "mape": np.mean(relative) if relative else None,
        "r2": r_squared(*zip(*pairs, strict=True)) if len(pairs) > 1 and not series.raw else None,
        "calibration": _calibration(series),
    }


def _calibration(series: Series) -> dict[str, Any] | None:
    """Spread of the energy against the error; None where too few have a spread to tell.

    The error of a raw energy is that of two zeros, which no spread knows.
    """
    if series.raw:
        return None
    known = [
        (spread, difference)
        for spread, difference in zip(series.spread, series.difference, strict=True)
        if spread
    ]
    if len(known) < _FEWEST:
        return None
    return asdict(calibration(*zip(*known, strict=True)))
