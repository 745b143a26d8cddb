"""How far equations of state are from DFT: mean errors by group, and the worst crystals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from pet_flows.compare.tables.row import COMPARED, UNITS, Pair, Row

GROUPS: dict[str, Callable[[Row], bool]] = {
    "ground states": lambda row: row.ground_state is True,
    "all": lambda row: True,
    "in training phases": lambda row: row.in_training is True,
    "outside of them": lambda row: row.in_training is False,
}


@dataclass(frozen=True)
class Metrics:
    """Errors of one property over one group of crystals.

    Means are over the ``n`` crystals whose record is ``ok``; ``missing`` more have a DFT value
    but no result to set beside it, which no mean shows. ``across`` of the ``n`` are compared
    across levels of theory.
    """

    property: str
    unit: str
    group: str
    n: int
    missing: int
    across: int
    mae: float
    """mean |value − reference|, in ``unit``"""
    mape: float
    """mean |value − reference| / reference, in %"""
    bias: float
    """mean (value − reference) / reference, in %"""
    largest: float
    """largest |value − reference| / reference, in %"""


def measure(rows: Sequence[Row]) -> list[Metrics]:
    """Measure every property of `COMPARED` over every group that has a comparison."""
    measured = []
    for name in COMPARED:
        for group, belongs in GROUPS.items():
            members = [row for row in rows if belongs(row) and name in row.references]
            found = [row.comparisons[name] for row in members if name in row.comparisons]
            if not found:
                continue
            relative = [100 * comparison.relative for comparison in found]
            measured.append(
                Metrics(
                    property=name,
                    unit=UNITS[name],
                    group=group,
                    n=len(found),
                    missing=len(members) - len(found),
                    across=sum(bool(comparison.level_differs) for comparison in found),
                    mae=fmean(abs(comparison.difference) for comparison in found),
                    mape=fmean(abs(value) for value in relative),
                    bias=fmean(relative),
                    largest=max(abs(value) for value in relative),
                )
            )
    return measured


def worst(rows: Sequence[Row], name: str, count: int = 5) -> list[tuple[Row, Pair]]:
    """Find the crystals with the largest relative errors of one property, the worst first."""
    found = [(row, row.comparisons[name]) for row in rows if name in row.comparisons]
    return sorted(found, key=lambda pair: -abs(pair[1].relative))[:count]
