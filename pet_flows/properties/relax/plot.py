"""The path of a relaxation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pet_flows.errors import PetFlowsError
from pet_flows.properties.figure import BLUE, GREEN, INK, RED, new_figure, note
from pet_flows.properties.property import PlotData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: of the force asked for
_ZERO = 1e-6


def path(data: PlotData) -> Figure:
    """Energy, largest force and volume at each step, the given structure first."""
    from matplotlib.ticker import MaxNLocator

    found = data.result.get("path")
    if found is None:
        raise PetFlowsError(
            "This relaxation's path is not stored, because it was computed before paths were: "
            "compute it again, or see its end with pet-flows show."
        )
    steps = np.array(found["step"])
    energies, forces = np.array(found["energy_per_atom"]), np.array(found["max_force"])
    volumes = np.array(found["volume_per_atom"], dtype=float)
    with_volume = np.isfinite(volumes).all() and np.ptp(volumes) > 0
    figure = new_figure(data, width=5.6, height=6.0 if with_volume else 4.4)
    panels = figure.subplots(3 if with_volume else 2, 1, sharex=True)
    style = {"markersize": 4.0, "markerfacecolor": "white"}
    panels[0].plot(steps, 1000.0 * (energies - energies[-1]), "o-", color=BLUE, **style)
    panels[0].set_ylabel("energy above\nthe last (meV/atom)")
    asked = float(data.settings["fmax"])
    # what symmetry makes zero but for round-off has no place on a logarithmic axis
    seen = np.where(forces > _ZERO * asked, forces, np.nan)
    panels[1].plot(steps, seen, "o-", color=INK, **style)
    panels[1].axhline(asked, color=RED, linewidth=1.0, linestyle="--", label="asked for")
    panels[1].set_ylabel("largest force (eV/Å)")
    panels[1].set_yscale("log")
    panels[1].legend()
    if np.isnan(seen).all():
        panels[1].set_ylim(0.1 * asked, 10.0 * asked)
        note(panels[1], ("zero by symmetry at every step",), "lower left")
    if with_volume:
        panels[2].plot(steps, volumes, "o-", color=GREEN, **style)
        panels[2].set_ylabel("volume (Å³/atom)")
    panels[-1].set_xlabel("step")
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.align_ylabels()
    return figure
