"""What the quasi-harmonic crystal does with temperature, and the free energies that say so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from pet_flows.errors import PetFlowsError
from pet_flows.properties.figure import BLUE, GREY, INK, RED, arrays_of, new_figure
from pet_flows.properties.property import PlotData

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def expansion(data: PlotData) -> Figure:
    """Volume, expansion, bulk modulus and heat capacities at zero pressure."""
    result = data.result
    temperatures = np.array(_temperatures(result))
    figure = new_figure(data, width=8.0, height=6.2)
    (volume, alpha), (modulus, heat) = figure.subplots(2, 2, sharex=True)
    series = (
        (volume, "volume_per_atom", 1.0, "volume (Å³/atom)"),
        (alpha, "thermal_expansion", 1e6, "expansion of the volume (10$^{-6}$/K)"),
        (modulus, "bulk_modulus", 1.0, "isothermal bulk modulus (GPa)"),
    )
    for axes, name, scale, label in series:
        axes.plot(
            temperatures, scale * np.array(result[name]), "o-", color=BLUE, markerfacecolor="white"
        )
        axes.set_ylabel(label)
    volume.ticklabel_format(useOffset=False)
    alpha.axhline(0.0, color=GREY, linewidth=0.7, zorder=0)
    for name, colour, marker, label in (("cp", RED, "s", "$C_p$"), ("cv", INK, "o", "$C_V$")):
        heat.plot(
            temperatures, result[name], f"{marker}-", color=colour, markerfacecolor="white",
            label=label,
        )  # fmt: skip
    heat.set_ylabel("heat capacity per atom (J/K/mol)")
    heat.set_ylim(bottom=0.0)
    heat.legend(loc="lower right")
    for axes in (modulus, heat):
        axes.set_xlabel("temperature (K)")
    return figure


def free_energy(data: PlotData) -> Figure:
    """Free energy against volume at each temperature, with the minima that were found."""
    from matplotlib import colormaps
    from phonopy.qha.eos import fit_to_eos, get_eos

    result = data.result
    arrays = arrays_of(
        data, "qha", "This record has no free energies to draw: only what failed lacks them; "
        "compute it again.",
    )  # fmt: skip
    volumes, temperatures = arrays["volumes"], arrays["temperatures"]
    fine = np.linspace(volumes.min(), volumes.max(), 200)
    equation = get_eos(result["equation"])
    # from the lowest of all minima, so that the axis has few digits
    zero = float(np.max(result["free_energy_per_atom"] or [arrays["free_energies"].max()]))
    figure = new_figure(data, width=6.4, height=5.4)
    axes = figure.subplots()
    colours = colormaps["cividis"](np.linspace(0.0, 0.85, len(temperatures)))
    for colour, free in zip(colours, arrays["free_energies"], strict=True):
        try:
            fit = fit_to_eos(volumes, free - free.min(), equation)
        except RuntimeError:  # it does not converge: the points alone
            continue
        curve = equation(fine, fit) + free.min() - zero
        axes.plot(fine, 1000.0 * curve, color=colour, linewidth=1.2)
    labelled = np.inf
    whole = 1000.0 * np.ptp(arrays["free_energies"])
    for colour, temperature, free in zip(
        colours, temperatures, 1000.0 * (arrays["free_energies"] - zero), strict=True
    ):
        axes.plot(volumes, free, "o", color=colour, markersize=4)
        if labelled - free[-1] > 0.035 * whole:  # those of two cold ones would lie on each other
            labelled = free[-1]
            axes.annotate(
                f"{temperature:g} K", (volumes[-1], labelled), xytext=(7, 0),
                textcoords="offset points", va="center", fontsize=9, color=colour,
            )  # fmt: skip
    minima = 1000.0 * (np.array(result["free_energy_per_atom"]) - zero)
    axes.plot(result["volume_per_atom"], minima, "D-", color=RED, linewidth=1.0, label="minimum")
    axes.legend(loc="lower left")
    axes.set_xlabel("volume (Å³/atom)")
    axes.set_ylabel("free energy (meV/atom)")
    axes.set_xlim(right=volumes.max() + 0.16 * np.ptp(volumes))
    return figure


def _temperatures(result: Mapping[str, Any]) -> list[float]:
    found: list[float] = result["temperatures"]
    if not found:
        raise PetFlowsError(
            "At no temperature is the minimum of the free energy among the volumes: compute with "
            "more of them (n_expanded, volume_step)."
        )
    return found
