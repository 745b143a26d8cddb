"""Lattice thermal conductivity against temperature."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pet_flows.properties.figure import BLUE, CYCLE, INK, new_figure
from pet_flows.properties.property import PlotData

if TYPE_CHECKING:
    from matplotlib.figure import Figure

#: parts of the mean by which the axes must differ to be drawn
_ISOTROPIC = 1e-3


def conductivity(data: PlotData) -> Figure:
    """Mean over the axes, and each axis where they differ; both scales logarithmic."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    points = data.result["kappa"]
    temperatures = np.array([point["T"] for point in points])
    means = np.array([point["mean"] for point in points])
    tensors = np.array([point["tensor"] for point in points])
    figure = new_figure(data)
    axes = figure.subplots()
    diagonal = tensors[:, range(3), range(3)]
    if np.abs(diagonal - means[:, None]).max() > _ISOTROPIC * np.abs(means).max():
        for n, (label, colour) in enumerate(zip(("xx", "yy", "zz"), CYCLE[1:], strict=False)):
            axes.plot(
                temperatures, diagonal[:, n], "s--", color=colour, markersize=4, linewidth=1.0,
                label=f"$\\kappa_{{{label}}}$",
            )  # fmt: skip
        label = "mean of the axes"
    else:
        label = "isotropic"
    axes.plot(temperatures, means, "o-", color=BLUE, markerfacecolor="white", label=label)
    axes.set_xlabel("temperature (K)")
    axes.set_ylabel("lattice thermal conductivity (W/m/K)")
    if (diagonal > 0).all():
        axes.set_yscale("log")
    if len(points) > 1:
        axes.set_xscale("log")
        plain = FuncFormatter(lambda value, _: f"{value:g}")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
            axis.set_major_formatter(plain)
            axis.set_minor_formatter(NullFormatter())
        guide = means[-1] * temperatures[-1] / temperatures
        axes.plot(temperatures, guide, color=INK, linewidth=0.8, linestyle=":", label="$1/T$")
    axes.legend()
    return figure
