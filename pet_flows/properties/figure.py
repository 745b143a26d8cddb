"""How all plots look, and what they share: no pyplot, no state that outlives a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pet_flows.errors import PetFlowsError
from pet_flows.properties.property import PlotData, Property, imported
from pet_flows.validate import unknown

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: M. Okabe and K. Ito, Color Universal Design (2008): apart for every kind of colour vision
BLUE, RED, GREEN, ORANGE, SKY, PURPLE = (
    "#0072B2", "#D55E00", "#009E73", "#E69F00", "#56B4E9", "#CC79A7",
)  # fmt: skip
INK, GREY = "#222222", "#8a8a8a"
#: for series that have no colour of their own, elements for instance
CYCLE = (BLUE, RED, GREEN, PURPLE, ORANGE, SKY, INK)

_STYLE: dict[str, Any] = {
    "font.size": 10.0,
    "axes.titlesize": 10.0,
    "axes.titlelocation": "left",
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.8,
    "axes.formatter.useoffset": False,
    "axes.formatter.limits": (-3, 5),
    "axes.formatter.use_mathtext": True,
    "legend.frameon": False,
    "legend.fontsize": 9.0,
    "lines.linewidth": 1.6,
    "lines.markersize": 5.5,
    "figure.dpi": 100,
    "savefig.dpi": 160,
    "pdf.fonttype": 42,  # text stays text in a journal's hands
    "svg.fonttype": "path",
}
_SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")
_TICKS: dict[str, Any] = {"direction": "in", "top": True, "right": True, "labelsize": 10.0}


def draw(prop: Property, data: PlotData, name: str | None = None) -> Figure:
    """Draw one of the plots that a property offers.

    Parameters
    ----------
    prop
        The property.
    data
        One record, or one result that was never stored.
    name
        Of the plot; the property's first one without it.

    Returns
    -------
    matplotlib.figure.Figure
        Not known to pyplot; ``figure.savefig("picture.png")`` writes it.

    Raises
    ------
    PetFlowsError
        The property has no such plot, or the data lack what it shows.
    """
    function = imported(prop.plots[plot_name(prop, name)])
    with styled():
        figure: Figure = function(data)
        for axes in figure.axes:
            if axes.name == "rectilinear":  # ticks are made when they are first drawn
                axes.tick_params(**_TICKS)
    return figure


def styled() -> AbstractContextManager[None]:
    """Our style over matplotlib's own, whatever the user has set; the backend stays theirs."""
    from matplotlib import style

    style_of_ours: Any = ["default", _STYLE]
    context: AbstractContextManager[None] = style.context(style_of_ours)
    return context


def plot_name(prop: Property, name: str | None) -> str:
    """Name of a plot that a property has; its first one where none is asked for.

    Raises
    ------
    PetFlowsError
        It has none of this name, or none at all.
    """
    if not prop.plots:
        raise PetFlowsError(
            f"The property {prop.name} has no plots: draw fields of its result instead."
        )
    if name is None:
        return next(iter(prop.plots))
    if name not in prop.plots:
        raise PetFlowsError(unknown(name, list(prop.plots), f"plot of {prop.name}"))
    return name


def title(formula: str | None, identifier: str | None, potential: str) -> str:
    """What is above the axes: ``Si₂Mo · mp-2592 · pet-mvl``."""
    parts = ((formula or "").translate(_SUBSCRIPTS), identifier, potential)
    return " · ".join(part for part in parts if part)


def new_figure(data: PlotData, width: float = 5.6, height: float = 4.2) -> Figure:
    """Empty figure with its title: formula, identifier and potential; sizes in inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    figure.get_layout_engine().set(w_pad=0.08, h_pad=0.08)  # type: ignore[union-attr,call-arg]
    # an identifier may hold dollars, which are no mathematics
    figure.suptitle(data.title, x=0.02, ha="left", fontsize=11, color=INK, parse_math=False)
    return figure


def arrays_of(data: PlotData, blob: str, absent: str) -> Mapping[str, np.ndarray]:
    """Arrays of a blob.

    Parameters
    ----------
    data
        What is drawn.
    blob
        Its name.
    absent
        Sentence for a record that has none.

    Raises
    ------
    PetFlowsError
        With that sentence.
    """
    try:
        return data.arrays(blob)
    except KeyError:
        raise PetFlowsError(absent) from None


def note(axes: Axes, lines: Sequence[str], where: str = "upper right") -> None:
    """Write lines of text into a corner of the axes, or into the middle of an edge."""
    vertical, horizontal = where.split()
    x = {"left": 0.03, "center": 0.5, "right": 0.97}[horizontal]
    y = {"upper": 0.97, "lower": 0.03}[vertical]
    axes.text(
        x, y, "\n".join(lines), transform=axes.transAxes, ha=horizontal,
        va="top" if vertical == "upper" else "bottom", fontsize=9, color=INK, linespacing=1.35,
    )  # fmt: skip


def minus(value: float, digits: int) -> str:
    """Write a number as matplotlib writes those of the axes, with a true minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def per_element(numbers: np.ndarray) -> dict[str, np.ndarray]:
    """Symbols in order of appearance → mask of their atoms, from (n,) atomic numbers."""
    from ase.data import chemical_symbols

    return {chemical_symbols[z]: numbers == z for z in dict.fromkeys(map(int, numbers))}


def save(figure: Figure, path: Path) -> None:
    """Write a figure; the ending of the path says the format (png, svg, pdf).

    Raises
    ------
    PetFlowsError
        The file cannot be written.
    """
    try:
        with styled():
            figure.savefig(path)
    except (OSError, ValueError) as error:
        raise PetFlowsError(
            f"The picture {path} cannot be written ({error}): name a folder that can be written "
            "to, and an ending .png, .svg or .pdf."
        ) from None
