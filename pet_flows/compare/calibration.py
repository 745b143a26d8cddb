"""Whether what a potential says of its own uncertainty tells how wrong it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pet_flows.compare.energies.pairs import energy_pairs
from pet_flows.compare.energies.shift import fit_shift, shifted_errors
from pet_flows.compare.shelf import Shelf
from pet_flows.compare.statistics import RAW_ENERGIES, Document, errors
from pet_flows.errors import PetFlowsError


@dataclass(frozen=True)
class Bin:
    """Comparisons of similar uncertainty."""

    n: int
    uncertainty: float
    """root mean square"""
    error: float
    """root mean square; equal to the uncertainty where that is calibrated"""


@dataclass(frozen=True)
class Calibration:
    """Uncertainties beside actual errors, of one quantity with one potential."""

    n: int
    rank_correlation: float | None
    """Spearman's, of uncertainty and |error|; None where one of the two does not vary"""
    p_value: float | None
    """of the rank correlation, where uncertainty and error had nothing to do with each other"""
    scale: float | None
    """rms error over rms uncertainty: by what the uncertainty would have to be multiplied"""
    within: tuple[float, float]
    """parts of errors within one and two uncertainties; 0.68 and 0.95 if these were σ of a normal
    distribution"""
    bins: tuple[Bin, ...]
    """smallest uncertainties first, equally many comparisons in each"""


def spreads(records: Iterable[Mapping[str, Any]], of: str = "energy_per_atom") -> dict[str, float]:
    """Rotational spread of each record that has one, by its key.

    Parameters
    ----------
    records
        With ``_id`` and ``spread``.
    of
        ``energy_per_atom`` (eV) or ``forces`` (eV/Å).
    """
    return _said("spread", of, records)


def uncertainties(
    records: Iterable[Mapping[str, Any]], of: str = "energy_per_atom"
) -> dict[str, float]:
    """What the model says of its own error (LLPR, an ensemble), of each record that has it.

    Parameters
    ----------
    records
        With ``_id`` and ``uncertainty``.
    of
        ``energy_per_atom`` (eV), ``forces`` (eV/Å) or ``stress`` (GPa).
    """
    return _said("uncertainty", of, records)


def _said(field: str, of: str, records: Iterable[Mapping[str, Any]]) -> dict[str, float]:
    found = {}
    for record in records:
        value = (record.get(field) or {}).get(of)
        if value is not None:
            found[str(record["_id"])] = float(value)
    return found


def calibrate(
    documents: Iterable[Document],
    uncertainties: Mapping[str, float],
    property: str,
    name: str,
    *,
    bins: int = 10,
) -> dict[str, Calibration]:
    """Set uncertainties beside the errors of one quantity, for each potential.

    Parameters
    ----------
    documents
        Of ``pet_comparisons``.
    uncertainties
        Key of a record → uncertainty in the value's unit: `spreads` or `uncertainties` of records,
        or anything else.
    property, name
        Of the value.
    bins
        At most; fewer where there are fewer than five comparisons for each.

    Returns
    -------
    dict
        Digest of a potential → its calibration; those without any uncertainty are left out.

    Raises
    ------
    PetFlowsError
        Total energies are named, whose zeros differ.
    """
    if name in RAW_ENERGIES:
        raise PetFlowsError(
            f"The error of {name} is that of two zeros of energy: use calibrate_energies, which "
            "takes a shift by element off."
        )
    found = {}
    for quantity, members in errors(documents).items():
        if (quantity.property, quantity.name) != (property, name):
            continue
        known = [error for error in members if error.record in uncertainties]
        if known:
            found[quantity.digest] = calibration(
                [uncertainties[error.record] for error in known],
                [error.difference for error in known],
                bins=bins,
            )
    return found


def calibrate_energies(
    shelf: Shelf, campaign: str, uncertainties: Mapping[str, float], *, bins: int = 10
) -> dict[str, Calibration]:
    """Set uncertainties of energies beside their errors, for each potential.

    Total energies of a potential and of DFT have different zeros, and those of two levels of theory
    have no common one: errors are those within the potential's level, after the shift by element
    that is best (`pet_flows.compare.energies.shift`).

    Parameters
    ----------
    shelf
        With comparisons that are up to date, ``compared.shelf``.
    campaign
        Its name.
    uncertainties
        Key of a record → eV/atom.
    bins
        As of `calibrate`.

    Returns
    -------
    dict
        Digest of a potential → its calibration; those without any uncertainty, or with too few
        materials for a shift, are left out.
    """
    found = {}
    for ours, _, pairs in energy_pairs(shelf, campaign):
        shift = fit_shift(pairs)
        wrong = {} if shift is None else shifted_errors(pairs, shift)
        known = {key: error for key, error in wrong.items() if key in uncertainties}
        if known:
            found[str(ours.potential["digest"])] = calibration(
                [uncertainties[key] for key in known], list(known.values()), bins=bins
            )
    return found


def calibration(
    uncertainties: Sequence[float] | np.ndarray,
    differences: Sequence[float] | np.ndarray,
    *,
    bins: int = 10,
) -> Calibration:
    """Compare uncertainties ``(n,)`` with actual errors ``(n,)``, n at least one."""
    sigma = np.asarray(uncertainties, dtype=float)
    wrong = np.abs(np.asarray(differences, dtype=float))
    order = np.argsort(sigma, kind="stable")
    parts = np.array_split(order, max(1, min(bins, len(order) // 5)))
    correlation = p_value = None
    if np.ptp(sigma) > 0 and np.ptp(wrong) > 0:
        from scipy.stats import spearmanr

        result = spearmanr(sigma, wrong)
        correlation, p_value = float(result.statistic), float(result.pvalue)
    total = _rms(sigma)
    return Calibration(
        n=len(sigma),
        rank_correlation=correlation,
        p_value=p_value,
        scale=_rms(wrong) / total if total else None,
        within=(float((wrong <= sigma).mean()), float((wrong <= 2 * sigma).mean())),
        bins=tuple(Bin(len(part), _rms(sigma[part]), _rms(wrong[part])) for part in parts),
    )


def _rms(values: np.ndarray) -> float:
    return float(np.sqrt((values**2).mean()))
