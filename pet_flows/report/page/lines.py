"""What qha, md and kappa give as curves, of a record and of the references beside it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from pet_flows.errors import PetFlowsError
from pet_flows.report.damage import SYMPTOMS

Arrays = Mapping[str, np.ndarray]
#: name of a curve → x and y
Curves = dict[str, tuple[Any, Any]]

#: points of a curve
_MOST = 200


@dataclass(frozen=True)
class Panel:
    """One diagram.

    Parameters
    ----------
    property
        Whose.
    name
        Of the diagram.
    title, x, y
        What is drawn over what, with units.
    curves
        Result and arrays of the blob `blob` → curves; KeyError where they hold none.
    blob
        None where the result says all.
    log
        Whether both scales are logarithmic.
    """

    property: str
    name: str
    title: str
    x: str
    y: str
    curves: Callable[[Mapping[str, Any], Arrays], Curves]
    blob: str | None = None
    log: bool = False


def _over_temperature(name: str, scale: float = 1.0) -> Callable[..., Curves]:
    def found(result: Mapping[str, Any], arrays: Arrays) -> Curves:
        values = [None if value is None else scale * value for value in result[name]]
        return {"": (result["temperatures"], values)}

    return found


def _rdf(result: Mapping[str, Any], arrays: Arrays) -> Curves:
    return {
        "–".join(sorted(map(str, pair))): (arrays["rdf_r"], values)
        for pair, values in zip(arrays["rdf_pairs"], arrays["rdf"], strict=True)
    }


def _msd(result: Mapping[str, Any], arrays: Arrays) -> Curves:
    return {
        str(element): (arrays["msd_time"], squares.sum(-1))
        for element, squares in zip(arrays["elements"], arrays["msd"], strict=True)
    }


def _kappa(result: Mapping[str, Any], arrays: Arrays) -> Curves:
    points = result["kappa"]
    return {"": ([point["T"] for point in points], [point["mean"] for point in points])}


_KELVIN = "temperature (K)"
PANELS = (
    Panel("qha", "volume", "Thermal expansion", _KELVIN, "volume (Å³/atom)",
          _over_temperature("volume_per_atom")),
    Panel("qha", "alpha", "Coefficient of expansion", _KELVIN, "of the volume (10⁻⁶/K)",
          _over_temperature("thermal_expansion", 1e6)),
    Panel("qha", "bulk", "Bulk modulus", _KELVIN, "isothermal (GPa)",
          _over_temperature("bulk_modulus")),
    Panel("qha", "cp", "Heat capacity", _KELVIN, "at constant pressure (J/K/mol)",
          _over_temperature("cp")),
    Panel("md", "rdf", "Pair distribution", "distance (Å)", "g(r)", _rdf, "observables"),
    Panel("md", "msd", "Displacement", "time (ps)", "mean squared displacement (Å²)", _msd,
          "observables"),
    Panel("kappa", "kappa", "Thermal conductivity", _KELVIN, "of the lattice (W/m/K)", _kappa,
          log=True),
)  # fmt: skip
"""In the order in which they are shown."""


def drawn(
    panel: Panel,
    ours: Callable[[], tuple[Mapping[str, Any], Arrays]],
    theirs: Mapping[str, Callable[[], tuple[Mapping[str, Any], Arrays]]],
) -> dict[str, Any] | None:
    """Curves of one diagram.

    Parameters
    ----------
    panel
        Which.
    ours
        Gives result and arrays of the record.
    theirs
        Name of a reference → the same of it.

    Returns
    -------
    dict or None
        ``name``, ``title``, ``x``, ``y``, ``log``, ``curves`` of the record and ``beside`` of the
        references that have some. None where the record has none.
    """
    found = _of(panel, ours)
    if not found:
        return None
    beside = [
        {"name": name, "curves": curves}
        for name, one in theirs.items()
        if (curves := _of(panel, one))
    ]
    about = {name: getattr(panel, name) for name in ("name", "title", "x", "y", "log")}
    return {**about, "curves": found, "beside": beside}


def _of(panel: Panel, read: Callable[[], tuple[Mapping[str, Any], Arrays]]) -> list[dict[str, Any]]:
    """Curves of one side, each with as many points as can be seen."""
    try:
        curves = panel.curves(*read())
    except (PetFlowsError, *SYMPTOMS):  # it ended early, or the source does not know this
        return []
    return [
        {"name": name, "x": _seen(x), "y": _seen(y)}
        for name, (x, y) in curves.items()
        if len(x) > 1 and len(x) == len(y)
    ]


def _seen(values: Any) -> list[float | None]:
    numbers = np.array([np.nan if value is None else value for value in values], dtype=float)
    step = -(-len(numbers) // _MOST)
    return [None if not np.isfinite(v) else float(f"{v:.5g}") for v in numbers[::step]]
