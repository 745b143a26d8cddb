"""Molecular dynamics: the run in time, pair distributions, displacements, vibrations."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from ase.units import GPa, kB

from pet_flows.errors import PetFlowsError
from pet_flows.properties.figure import (
    BLUE,
    CYCLE,
    GREEN,
    GREY,
    INK,
    RED,
    arrays_of,
    new_figure,
)
from pet_flows.properties.md.declaration import degrees_of_freedom
from pet_flows.properties.property import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NO_OBSERVABLES = (
    "This run has no averages to draw: it ended before its first sample, which an equilibration "
    "as long as the run, or an early failure, brings about."
)


def run(data: PlotData) -> Figure:
    """Temperature and energies against time; in a moving cell pressure and volume too."""
    settings = data.settings
    arrays = arrays_of(
        data, "trajectory", "This run left no frames to draw: it failed before the first one."
    )
    time, n_atoms = arrays["time"], len(arrays["numbers"])
    moving = settings["ensemble"] == "npt_langevin"
    figure = new_figure(data, width=7.0, height=7.6 if moving else 5.0)
    panels = figure.subplots(4 if moving else 2, 1, sharex=True)
    degrees = degrees_of_freedom(settings["ensemble"], n_atoms)
    temperature = 2.0 * arrays["kinetic"] / (degrees * kB)
    panels[0].plot(time, temperature, color=RED, linewidth=1.0)
    panels[0].set_ylabel("temperature (K)")
    if settings["ensemble"] != "nve":
        _target(panels[0], time, settings["temperature"], settings["final_temperature"])
    for name, colour, label in (
        ("potential", BLUE, "potential"), ("conserved", INK, "conserved quantity"),
    ):  # fmt: skip
        energy = 1000.0 * arrays[name] / n_atoms
        panels[1].plot(time, energy - energy[0], color=colour, linewidth=1.0, label=label)
    panels[1].set_ylabel("energy since the\nstart (meV/atom)")
    panels[1].legend(loc="best", ncols=2)
    if moving:
        volume = np.abs(np.linalg.det(arrays["cell"]))
        stress = np.trace(arrays["stress"], axis1=1, axis2=2) / 3.0
        pressure = (2.0 * arrays["kinetic"] / (3.0 * volume) - stress) / GPa
        panels[2].plot(time, pressure, color=GREEN, linewidth=1.0)
        panels[2].set_ylabel("pressure (GPa)")
        _target(panels[2], time, settings["pressure"], settings["final_pressure"])
        panels[2].legend(loc="lower right")
        panels[3].plot(time, volume / n_atoms, color=INK, linewidth=1.0)
        panels[3].set_ylabel("volume (Å³/atom)")
    settled = settings["equilibration"] * settings["timestep"] * 1e-3
    for axes in panels:
        if settled > time[0]:
            axes.axvspan(
                time[0], settled, color=GREY, alpha=0.18, linewidth=0, zorder=0,
                label="equilibration" if axes is panels[0] else None,
            )  # fmt: skip
        axes.set_xlim(time[0], time[-1])
    if panels[0].get_legend_handles_labels()[0]:
        panels[0].legend(loc="lower right", ncols=2)
    panels[-1].set_xlabel("time (ps)")
    figure.align_ylabels()
    return figure


def _target(axes: Axes, time: np.ndarray, start: float, end: float | None) -> None:
    """What the thermostat or barostat aims at, a ramp where there is one."""
    last = start if end is None else end
    axes.plot(
        [0.0, time[-1]], [start, last], color=INK, linewidth=1.0, linestyle="--", label="target"
    )


def rdf(data: PlotData) -> Figure:
    """Pair distribution of each pair of elements."""
    arrays = arrays_of(data, "observables", _NO_OBSERVABLES)
    if "rdf" not in arrays:
        raise PetFlowsError(
            "This run has no pair distributions, which need a cell periodic along three axes: "
            "choose another plot."
        )
    figure = new_figure(data)
    axes = figure.subplots()
    for colour, pair, values in zip(CYCLE, arrays["rdf_pairs"], arrays["rdf"], strict=False):
        axes.plot(arrays["rdf_r"], values, color=colour, linewidth=1.2, label="–".join(pair))
    axes.axhline(1.0, color=GREY, linewidth=0.8, linestyle="--", zorder=0)
    axes.set_xlabel("distance (Å)")
    axes.set_ylabel("pair distribution $g(r)$")
    axes.set_xlim(0.0, float(arrays["rdf_r"][-1]))
    axes.set_ylim(bottom=0.0)
    axes.legend()
    return figure


def msd(data: PlotData) -> Figure:
    """Mean squared displacement of each element, with the slope of what diffuses."""
    arrays = arrays_of(data, "observables", _NO_OBSERVABLES)
    time = arrays["msd_time"]
    diffusion = data.result["diffusion"] or {}
    figure = new_figure(data)
    axes = figure.subplots()
    for colour, symbol, squares in zip(CYCLE, arrays["elements"], arrays["msd"], strict=False):
        label = str(symbol)
        total = squares.sum(1)
        if symbol in diffusion:
            # cm²/s to Å²/ps; through the middle of where the slope was taken
            slope = 6.0 * 1e4 * diffusion[symbol]
            fitted = (time >= data.result["time"] / 10.0) & (time <= data.result["time"] / 2.0)
            offset = (total[fitted] - slope * time[fitted]).mean() if fitted.any() else 0.0
            axes.plot(
                time, np.maximum(offset + slope * time, 0.0), color=colour, linewidth=1.0,
                linestyle="--",
            )  # fmt: skip
            error = (data.result["diffusion_error"] or {}).get(symbol)
            label += f", $D$ = {_scientific(diffusion[symbol], error)} cm²/s"
        axes.plot(time, total, color=colour, label=label)
    axes.set_xlabel("time (ps)")
    axes.set_ylabel("mean squared displacement (Å²)")
    axes.set_xlim(0.0, float(time[-1]) or 1.0)
    axes.set_ylim(0.0, 1.2 * float(arrays["msd"].sum(2).max()) or 1.0)
    axes.legend(loc="upper left")
    return figure


def vdos(data: PlotData) -> Figure:
    """Vibrational density of states of each element, whose integral is three per atom."""
    arrays = arrays_of(data, "observables", _NO_OBSERVABLES)
    if "vdos" not in arrays:
        raise PetFlowsError(
            "This run is too short for a vibrational density of states: raise steps."
        )
    figure = new_figure(data)
    axes = figure.subplots()
    frequency = arrays["vdos_frequency"]
    for colour, symbol, density in zip(CYCLE, arrays["elements"], arrays["vdos"], strict=False):
        axes.plot(frequency, density, color=colour, linewidth=1.2, label=str(symbol))
    # beyond the highest mode there is only the tail that the sampling leaves
    whole = np.abs(arrays["vdos"]).max(0)
    highest = float(frequency[whole > 0.02 * whole.max()].max(initial=frequency[1]))
    axes.set_xlim(0.0, min(1.1 * highest, float(frequency[-1])))
    axes.axhline(0.0, color=GREY, linewidth=0.7, zorder=0)
    axes.set_xlabel("frequency (THz)")
    axes.set_ylabel("vibrational DOS per atom (1/THz)")
    axes.legend()
    return figure


def _scientific(value: float, error: float | None) -> str:
    """``2.1(3) × 10⁻⁵`` as mathematics, the digit in brackets the error of the last one."""
    power = int(np.floor(np.log10(abs(value))))
    digits = f"{value / 10.0**power:.1f}"
    if error is not None:
        digits += f" ± {error / 10.0**power:.1f}"
        digits = f"({digits})"
    return f"{digits} × 10$^{{{power}}}$"
