"""Young's modulus in every direction: a surface, and cuts through it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pet_flows.errors import PetFlowsError
from pet_flows.properties.elastic.directions import extremes, sphere, young_modulus
from pet_flows.properties.figure import CYCLE, INK, new_figure
from pet_flows.properties.property import PlotData

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mpl_toolkits.mplot3d import Axes3D

_X, _Y, _Z = np.eye(3)
#: name of a plane → the two directions that span it; the last one holds (1, 1, 1), along which
#: cubic crystals are stiffest or softest
PLANES = {
    "xy": (_X, _Y),
    "xz": (_X, _Z),
    "yz": (_Y, _Z),
    "(x+y) z": ((_X + _Y) / np.sqrt(2.0), _Z),
}
#: relative; cuts that differ by less are one curve with two names
_SAME = 1e-3


def modulus(data: PlotData) -> Figure:
    """Surface whose distance from the middle is Young's modulus, and cuts through it.

    Axes are those of ``tensor_ieee`` (IEEE 176-1987): of a cubic crystal the edges of the cube,
    else z along c and x along a wherever the crystal system has these.
    """
    if not data.result["stable"]:
        raise PetFlowsError(
            "This crystal has no Young's modulus, because it is not stable against every strain "
            f"(smallest eigenvalue of its tensor: {data.result['min_eigenvalue']:.1f} GPa): relax "
            "it into a stable phase first."
        )
    stiffness = np.array(data.result["tensor_ieee"])
    figure = new_figure(data, width=9.0, height=4.4)
    left = figure.add_subplot(1, 2, 1, projection="3d")
    right = figure.add_subplot(1, 2, 2, projection="polar")
    _surface(left, stiffness)
    _cuts(right, stiffness)
    return figure


def _surface(axes: Axes3D, stiffness: np.ndarray) -> None:
    """The surface coloured by the modulus, its extremes beside the scale."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LightSource, Normalize

    directions = sphere()
    values = young_modulus(stiffness, directions)
    low, high = float(values.min()), float(values.max())
    norm = Normalize(low, high if high - low > _SAME * high else high * (1 + _SAME))
    points = values[..., None] * directions
    map_ = colormaps["cividis"]
    axes.plot_surface(
        *np.moveaxis(points, -1, 0), facecolors=map_(norm(values)), rcount=91, ccount=91,
        linewidth=0, antialiased=False, lightsource=LightSource(azdeg=225, altdeg=55), shade=True,
    )  # fmt: skip
    bar = axes.figure.colorbar(
        ScalarMappable(norm, map_), ax=axes, shrink=0.6, pad=0.02, location="left"
    )
    bar.set_label("Young's modulus (GPa)")
    half = 1.05 * np.abs(points).max()
    axes.set(xlim=(-half, half), ylim=(-half, half), zlim=(-half, half))
    axes.set_box_aspect((1, 1, 1), zoom=1.1)
    axes.set_axis_off()
    axes.computed_zorder = False  # the axes come out of the surface towards who looks at it
    for name, direction in (("x", _X), ("y", _Y), ("z", _Z)):
        start = float(young_modulus(stiffness, direction))
        axes.plot(
            *np.outer(direction, (start, 1.3 * high)).tolist(), color=INK, linewidth=1.2, zorder=5
        )
        axes.text(*(1.4 * high * direction), name, color=INK, ha="center", va="center")
    axes.view_init(elev=24, azim=35)


def _cuts(axes: Axes, stiffness: np.ndarray) -> None:
    """Young's modulus in planes, against the angle from the first axis that is named."""
    from matplotlib.ticker import MaxNLocator

    angles = np.linspace(0.0, 2 * np.pi, 361)
    curves: dict[str, np.ndarray] = {}
    for name, (first, second) in PLANES.items():
        around = np.outer(np.cos(angles), first) + np.outer(np.sin(angles), second)
        values = young_modulus(stiffness, around)
        same = [old for old, seen in curves.items() if np.allclose(seen, values, rtol=_SAME)]
        if same:
            curves[f"{same[0]}, {name}"] = curves.pop(same[0])
        else:
            curves[name] = values
    for colour, (name, values) in zip(CYCLE, curves.items(), strict=False):
        axes.plot(angles, values, color=colour, label=name)
    axes.set_ylim(bottom=0.0)
    axes.set_xticks(np.radians(range(0, 360, 45)))
    axes.tick_params(axis="x", pad=1, labelsize=8)
    axes.tick_params(axis="y", labelsize=8)
    axes.yaxis.set_major_locator(MaxNLocator(4, prune="lower"))
    axes.set_rlabel_position(67.5)  # type: ignore[attr-defined]
    axes.grid(linewidth=0.5, alpha=0.6)
    axes.legend(
        title="Young's modulus (GPa)\nin planes; 0° is the\naxis named first", title_fontsize=9,
        loc="upper left", bbox_to_anchor=(1.08, 1.05), borderaxespad=0.0, alignment="left",
    )  # fmt: skip
    lines = [
        f"{which} {value:.1f} GPa\nalong {where}"
        for which, (value, where) in zip(("largest", "smallest"), extremes(stiffness), strict=True)
    ]
    axes.text(
        1.08, 0.0, "\n".join(lines), transform=axes.transAxes, fontsize=9, color=INK, va="bottom"
    )
