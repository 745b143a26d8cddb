"""Energy against volume with the equation of state that was fitted to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pet_flows.properties.eos.birch_murnaghan import EquationOfState, energy
from pet_flows.properties.figure import BLUE, INK, RED, minus, new_figure, note
from pet_flows.properties.property import PlotData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def curve(data: PlotData) -> Figure:
    """Points, Birch–Murnaghan curve and its minimum, in meV per atom above it."""
    result = data.result
    eos = EquationOfState(
        v0=result["v0_per_atom"],
        e0=result["e0_per_atom"],
        b0=result["b0"],
        b0_prime=result["b0_prime"],
        residual=result["residual"],
    )
    volumes = np.array(result["volumes"])
    margin = 0.05 * np.ptp(volumes)
    fine = np.linspace(volumes.min() - margin, volumes.max() + margin, 200)
    above = 1000.0 * (np.array(result["energies"]) - eos.e0)

    figure = new_figure(data)
    axes = figure.subplots()
    axes.plot(fine, 1000.0 * (energy(eos, fine) - eos.e0), color=BLUE, label="Birch–Murnaghan fit")
    axes.plot(volumes, above, "o", color=INK, markerfacecolor="white", label="computed")
    axes.plot([eos.v0], [0.0], "D", color=RED, label="minimum")
    axes.axvline(eos.v0, color=RED, linewidth=0.8, linestyle=":", ymax=0.3, zorder=0)
    axes.set_xlabel("volume (Å³/atom)")
    axes.set_ylabel("energy above the minimum (meV/atom)")
    axes.set_xlim(fine[0], fine[-1])
    top = max(above.max(), 1e-6)
    axes.set_ylim(-0.06 * top, 1.12 * top)
    note(
        axes,
        (
            f"$V_0$ = {eos.v0:.3f} Å³/atom",
            f"$B_0$ = {eos.b0:.1f} GPa",
            f"$B_0'$ = {eos.b0_prime:.2f}",
            f"$E_0$ = {minus(eos.e0, 4)} eV/atom",
            f"rms of the fit {1000.0 * eos.residual:.2g} meV/atom",
        ),
        "upper center",
    )
    axes.legend(loc="center", bbox_to_anchor=(0.5, 0.48))
    return figure
