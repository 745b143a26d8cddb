"""What is said about a series: mean errors, how sure they are, and whether uncertainties tell."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from pet_flows.compare.calibration import calibration
from pet_flows.compare.energies.shift import Material, fit_shift, fractions, shifted_errors
from pet_flows.compare.statistics import interval, r_squared
from pet_flows.report.page.series import Series

#: structures with an uncertainty that a calibration begins to say anything with
_FEWEST = 10


def summary(series: Series, materials: Sequence[str], formulas: Sequence[str]) -> dict[str, Any]:
    """Mean errors of a series.

    Parameters
    ----------
    series
        With at least one structure.
    materials
        Identifier of each row of the table: materials are drawn in the bootstrap.
    formulas
        Of each row.

    Returns
    -------
    dict
        ``n``, ``mae`` with its 95 % ``interval``, ``bias``, ``rmse``, ``median`` and ``largest`` of
        |difference|, ``mape``, ``r2`` (None of raw energies); ``left``: of raw energies the errors
        after the shift by element that is best (None of all others); ``calibration``: of
        ``uncertainty`` and ``spread``, those that enough structures have.
    """
    left = _shifted(series, formulas) if series.raw else None
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
        "left": left,
        "calibration": _calibrations(series, left if series.raw else series.difference),
    }


def _shifted(series: Series, formulas: Sequence[str]) -> list[float | None] | None:
    """Errors of energies whose zeros differ; None where nothing would be left to compare.

    Where levels of theory differ there is no common zero.
    """
    differs = set(series.differs)
    given = [
        Material(str(n), "", "", fractions(formulas[row]), series.pet[n], dft)
        for n, (row, dft) in enumerate(zip(series.row, series.dft, strict=True))
        if n not in differs and dft is not None
    ]
    shift = fit_shift(given)
    if shift is None:
        return None
    found = shifted_errors(given, shift)
    return [found.get(str(n)) for n in range(len(series.row))]


def _calibrations(series: Series, errors: Sequence[float | None] | None) -> dict[str, Any]:
    """What is said of uncertainty against the error; only where enough have both to tell."""
    found = {}
    for name in ("uncertainty", "spread") if errors is not None else ():
        known = [
            (said, error)
            for said, error in zip(getattr(series, name), errors or (), strict=True)
            if said and error is not None
        ]
        if len(known) >= _FEWEST:
            found[name] = asdict(calibration(*zip(*known, strict=True)))
    return found
