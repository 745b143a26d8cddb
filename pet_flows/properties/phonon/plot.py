"""Phonon bands with the density of states beside them, and thermal properties."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pet_flows.errors import PetFlowsError
from pet_flows.properties.figure import (
    BLUE,
    CYCLE,
    GREY,
    INK,
    RED,
    arrays_of,
    new_figure,
    note,
    per_element,
)
from pet_flows.properties.phonon.modes import ZERO
from pet_flows.properties.property import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: letters of seekpath's names of points that stand for Greek ones
_GREEK = {"GAMMA": "Γ", "DELTA": "Δ", "LAMBDA": "Λ", "SIGMA": "Σ"}
#: J/K/mol, three times the gas constant: the heat capacity per atom of the hot crystal
DULONG_PETIT = 24.943388
#: J/K/mol, and the temperature in K whose kT is a quantum of 1 THz
_GAS, _KELVIN_PER_THZ = DULONG_PETIT / 3.0, 47.992431


def bands(data: PlotData) -> Figure:
    """Bands along the path through the Brillouin zone, with the density of states beside them."""
    arrays = arrays_of(
        data, "phonon", "These phonons have no arrays to draw bands from: only what failed lacks "
        "them; compute them again.",
    )  # fmt: skip
    with_bands, with_dos = "band_segments" in arrays, "total_dos" in arrays
    if not (with_bands or with_dos):
        raise PetFlowsError(
            "These phonons were computed without bands and without density of states: compute "
            "them with band_structure or dos."
        )
    both = with_bands and with_dos
    figure = new_figure(data, width=7.0 if both else 5.6)
    if both:
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3.2, 1.0))
        figure.get_layout_engine().set(wspace=0.0)  # type: ignore[union-attr,call-arg]
    else:
        left = right = figure.subplots()
    if with_bands:
        _bands(left, arrays)
    if with_dos:
        _density(right, arrays)
        if both:
            right.set_ylabel("")
    lowest, highest = _range(arrays, data.result)
    for axes in dict.fromkeys((left, right)):
        axes.axhline(0.0, color=INK, linewidth=0.7, zorder=1)
        if lowest < 0:
            axes.axhspan(lowest, 0.0, color=RED, alpha=0.10, linewidth=0, zorder=0)
        axes.set_ylim(lowest, highest)
    if lowest < 0:
        left.set_ylabel("frequency (THz), imaginary below zero")
    return figure


def _bands(axes: Axes, arrays: Mapping[str, np.ndarray]) -> None:
    """Each straight line of the path by itself; what jumps has both names at one tick."""
    distances, frequencies = arrays["band_distances"], arrays["band_frequencies"]
    ticks: list[float] = []
    names: list[str] = []
    for (first, last), (start, end) in zip(
        arrays["band_segments"], arrays["band_labels"], strict=True
    ):
        piece = slice(int(first), int(last) + 1)
        axes.plot(distances[piece], frequencies[piece], color=BLUE, linewidth=1.2)
        begin, stop = point_name(str(start)), point_name(str(end))
        if not ticks:
            ticks, names = [float(distances[first])], [begin]
        elif names[-1] != begin:
            names[-1] = f"{names[-1]}|{begin}"
        ticks.append(float(distances[last]))
        names.append(stop)
    for tick in ticks[1:-1]:
        axes.axvline(tick, color=GREY, linewidth=0.7, zorder=0)
    axes.set_xticks(ticks, _apart(ticks, names))
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(ticks[0], ticks[-1])
    axes.set_ylabel("frequency (THz)")


def _apart(ticks: list[float], names: list[str]) -> list[str]:
    """Names that would run into the one before them go one line down."""
    placed, lowered = [], False
    whole = ticks[-1] - ticks[0]
    widths = [len(re.sub(r"[$_{}]", "", name)) for name in names]
    for n, name in enumerate(names):
        close = n > 0 and (ticks[n] - ticks[n - 1]) / whole < 0.012 * (widths[n] + widths[n - 1])
        lowered = close and not lowered
        placed.append(f"\n{name}" if lowered else name)
    return placed


def point_name(name: str) -> str:
    """Name of a point as it is printed: ``GAMMA`` → Γ, ``X_1`` → X₁."""
    letter, _, index = name.partition("_")
    letter = _GREEK.get(letter, letter)
    return f"{letter}$_{{{index}}}$" if index else letter


def _density(axes: Axes, arrays: Mapping[str, np.ndarray]) -> None:
    """Total density of states, and the part of each element where there are several."""
    frequencies, total = arrays["frequency_points"], arrays["total_dos"]
    elements = per_element(arrays["primitive_numbers"])
    axes.fill_betweenx(frequencies, 0.0, total, color=GREY, alpha=0.25, linewidth=0)
    axes.plot(total, frequencies, color=INK, linewidth=1.0, label="total")
    if len(elements) > 1:
        for colour, (symbol, atoms) in zip(CYCLE, elements.items(), strict=False):
            part = arrays["projected_dos"][atoms].sum(0)
            axes.plot(part, frequencies, color=colour, linewidth=1.2, label=symbol)
        axes.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, handlelength=0.8,
            columnspacing=0.8, handletextpad=0.4, borderaxespad=0.2,
        )  # fmt: skip
    axes.set_xlim(0.0, 1.08 * float(total.max()))
    axes.set_xlabel("DOS (1/THz per cell)")
    axes.set_ylabel("frequency (THz)")


def _range(arrays: Mapping[str, np.ndarray], result: Mapping[str, Any]) -> tuple[float, float]:
    """Limits of the frequencies; below zero only where something is beyond the tolerance."""
    found = [arrays[name] for name in ("band_frequencies", "mesh_frequencies") if name in arrays]
    lowest = min(float(values.min()) for values in found)
    highest = 1.05 * max(float(values.max()) for values in found)
    if lowest >= -float(result["tolerance"]):
        return 0.0, highest
    return 1.15 * lowest, highest


def thermal(data: PlotData) -> Figure:
    """Heat capacity and entropy, and free energy, of the harmonic crystal against temperature."""
    points = data.result["thermal"]
    if not points:
        raise PetFlowsError(
            "These phonons were computed at no temperature: compute them with temperatures."
        )
    table = {name: np.array([point[name] for point in points]) for name in ("T", "cv", "s", "f")}
    figure = new_figure(data, width=8.0, height=3.8)
    left, right = figure.subplots(1, 2)
    curves = _curves(data, float(table["T"].max()))
    series = (
        (left, "cv", BLUE, "o", "heat capacity $C_V$"),
        (left, "s", RED, "s", "entropy $S$"),
        (right, "f", INK, "o", "free energy $F$"),
    )
    for axes, name, colour, marker, label in series:
        smooth = curves is not None
        if curves is not None:
            axes.plot(curves["T"], curves[name], color=colour)
        style = marker if smooth else f"{marker}-"
        axes.plot(
            table["T"], table[name], style, color=colour, markerfacecolor="white", label=label
        )
    left.axhline(DULONG_PETIT, color=GREY, linewidth=0.9, linestyle="--", label="$3R$")
    left.set_ylabel("$C_V$, $S$ per atom (J/K/mol)")
    left.set_ylim(bottom=0.0)
    left.legend()
    right.axhline(0.0, color=GREY, linewidth=0.7, zorder=0)
    right.set_ylabel("free energy $F$ per atom (kJ/mol)")
    for axes in (left, right):
        axes.set_xlabel("temperature (K)")
        axes.margins(x=0.03)
    if data.result["has_imaginary_modes"]:
        note(right, ("imaginary modes", "are left out"), "lower left")
    return figure


def _curves(data: PlotData, hottest: float) -> dict[str, np.ndarray] | None:
    """The same sums over the mesh at many temperatures; None where the mesh is not at hand.

    Returns
    -------
    dict
        ``T`` K, ``cv`` and ``s`` J/K/mol, ``f`` kJ/mol, per atom.
    """
    try:
        arrays = data.arrays("phonon")
    except KeyError:
        return None
    frequencies, weights = arrays["mesh_frequencies"], arrays["mesh_weights"]
    real = frequencies > ZERO
    share = np.where(real, weights[:, None] / weights.sum(), 0.0) / (frequencies.shape[1] / 3)
    temperatures = np.linspace(0.0, max(hottest, 1.0), 120)
    theta = np.where(real, frequencies, 1.0) * _KELVIN_PER_THZ
    found: dict[str, list[float]] = {"cv": [], "s": [], "f": []}
    for temperature in temperatures:
        x = theta / max(temperature, 1e-3)
        decay = np.exp(-np.minimum(x, 700.0))
        occupied = decay / (1.0 - decay)
        logarithm = np.log1p(-decay)
        found["cv"].append(float((share * x**2 * occupied * (1.0 + occupied)).sum()))
        found["s"].append(float((share * (x * occupied - logarithm)).sum()))
        found["f"].append(float((share * (theta / 2.0 + temperature * logarithm)).sum()))
    scale = {"cv": _GAS, "s": _GAS, "f": _GAS / 1000.0}
    curves = {name: scale[name] * np.array(values) for name, values in found.items()}
    return {"T": temperatures, **curves}
