"""Parity and errors of each series as files for papers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pet_flows.properties.figure import BLUE, GREY, INK, note, save, styled
from pet_flows.report.page.series import Series

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: points of a parity plot above which vector graphics hold them as a picture
_RASTER = 3000


def write_figures(series: Sequence[Series], folder: Path, ending: str) -> list[Path]:
    """Draw every series that has values on both sides.

    Parameters
    ----------
    series
        Of one campaign.
    folder
        Made where it is not there.
    ending
        png, svg or pdf.

    Returns
    -------
    list of Path
        ``eos_b0_PBE.svg``, with a number where two would have one name.
    """
    written: list[Path] = []
    for one in series:
        if not any(value is not None for value in one.dft):
            continue
        folder.mkdir(parents=True, exist_ok=True)
        stem = re.sub(r"[^\w.+-]+", "-", f"{one.property}_{one.name}_{one.level}")
        taken = sum(path.stem == stem or path.stem.startswith(f"{stem}-") for path in written)
        path = folder / f"{stem}{f'-{taken + 1}' * bool(taken)}.{ending}"
        with styled():
            figure = draw_series(one)
        save(figure, path)
        written.append(path)
    return written


def draw_series(series: Series) -> Figure:
    """Parity on the left, errors on the right, with the number of structures and mean errors."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.0, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    _parity(left, series)
    _errors(right, series)
    title = f"{series.property} {series.name.replace('_', ' ')} · {series.potential}"
    if series.raw:
        title += " · raw, zeros differ"
    figure.suptitle(title, x=0.02, ha="left", fontsize=11, color=INK, parse_math=False)
    return figure


def _parity(axes: Axes, series: Series) -> None:
    pairs = np.array(
        [
            (dft, pet)
            for dft, pet in zip(series.dft, series.pet, strict=True)
            if dft is not None and pet is not None
        ],
        dtype=float,
    )
    margin = 0.05 * float(np.ptp(pairs)) or 1.0
    limits = (float(pairs.min()) - margin, float(pairs.max()) + margin)
    axes.plot(limits, limits, color=GREY, linewidth=1.0, zorder=0)
    axes.scatter(
        pairs[:, 0], pairs[:, 1], s=16, color=BLUE, alpha=0.7, linewidths=0,
        rasterized=len(pairs) > _RASTER,
    )  # fmt: skip
    unit = f" ({series.unit})" if series.unit else ""
    axes.set(xlim=limits, ylim=limits, aspect="equal")
    axes.set_xlabel(f"DFT, {series.level}{unit}", parse_math=False)
    axes.set_ylabel(f"PET{unit}", parse_math=False)


def _errors(axes: Axes, series: Series) -> None:
    factor, unit = (1000.0, "meV") if series.unit == "eV" else (1.0, series.unit)
    errors = factor * np.array(series.difference)
    axes.hist(errors, bins="auto" if len(errors) > 20 else 8, color=BLUE)
    axes.axvline(0.0, color=INK, linewidth=0.8)
    axes.set_xlabel(f"PET − DFT ({unit or '1'})", parse_math=False)
    axes.set_ylabel("structures")
    after = f" {unit}" if unit else ""
    note(
        axes,
        (
            f"n = {len(errors)}",
            f"mean |error| {np.abs(errors).mean():.3g}{after}",
            f"mean error {errors.mean():.2g}{after}".replace("-", "−"),
        ),
    )
    axes.margins(y=0.2)
