"""Predicted against DFT, as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pet_flows.compare.metrics import worst
from pet_flows.compare.tables.row import COMPARED, Row
from pet_flows.errors import PetFlowsError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TITLES = {"v0_per_atom": "V$_0$ (Å$^3$/atom)", "b0": "B$_0$ (GPa)"}
_KINDS: tuple[tuple[bool | None, str, dict[str, Any]], ...] = (
    (True, "in the training phases", {"color": "#1b6ca8", "marker": "o"}),
    (False, "outside of them", {"facecolor": "none", "edgecolor": "#c1440e", "marker": "o"}),
    (None, "training phases unknown", {"color": "#666666", "marker": "s"}),
)


def draw_parity(rows: Sequence[Row], path: Path, labelled: int = 5) -> Path:
    """Draw V0 and B0 of all comparisons against DFT, the worst of each named.

    Parameters
    ----------
    rows
        Of one campaign.
    path
        File to write; its ending decides the format (PNG, PDF, SVG).
    labelled
        How many of the largest relative errors get their names.

    Raises
    ------
    PetFlowsError
        If there is nothing to draw, or the file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if not any(row.comparisons for row in rows):
        raise PetFlowsError(
            "There is nothing to draw, because no crystal has an EOS and a DFT value: compute the "
            "property eos of crystals that a reference source knows."
        )
    figure = Figure(figsize=(9.0, 4.4), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, name in zip(figure.subplots(1, len(COMPARED)), COMPARED, strict=True):
        _draw(axes, rows, name, labelled)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
    path = Path(path)
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise PetFlowsError(
            f"The picture {path} cannot be written ({error}): choose a folder that exists and an "
            "ending such as .png."
        ) from None
    return path


def _draw(axes: Axes, rows: Sequence[Row], name: str, labelled: int) -> None:
    """Draw one property."""
    found = [row.comparisons[name] for row in rows if name in row.comparisons]
    limits = _limits([c.value for c in found] + [c.reference for c in found])
    axes.plot(limits, limits, color="#aaaaaa", linewidth=1, zorder=0)
    for kind, label, style in _KINDS:
        pairs = [
            (row.comparisons[name].reference, row.comparisons[name].value)
            for row in rows
            if name in row.comparisons and row.in_training is kind
        ]
        if pairs:
            reference, value = np.transpose(pairs)
            axes.scatter(reference, value, s=26, label=label, **style)
    for row, comparison in worst(rows, name, labelled):
        above = comparison.value > comparison.reference
        # away from the diagonal, but not over the axis
        leftwards = above and comparison.reference > limits[0] + 0.3 * (limits[1] - limits[0])
        axes.annotate(
            str(row.crystal),
            (comparison.reference, comparison.value),
            xytext=(-4 if leftwards else 4, 4 if above else -10),
            textcoords="offset points",
            ha="right" if leftwards else "left",
            fontsize=8,
        )
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    published = [one for row in rows if name in row.comparisons for one in row.published]
    functionals = sorted({str(source.level.functional) for source in published})
    axes.set_xlabel(f"{_TITLES[name]}, DFT ({', '.join(functionals)})")
    axes.set_ylabel(f"{_TITLES[name]}, PET")


def _limits(values: Sequence[float]) -> tuple[float, float]:
    """Leave a margin around all values."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    margin = 0.12 * (high - low) or 0.12 * abs(high) or 1.0
    return low - margin, high + margin
