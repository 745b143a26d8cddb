"""Equations of state and phonons of a record and its references, as the numbers that are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pet_flows.properties.eos.birch_murnaghan import EquationOfState, energy
from pet_flows.report.damage import SYMPTOMS

#: points of a curve
_FINE = 81
#: of the range of the volumes, by which a curve goes on beyond them
_MARGIN = 0.06
#: THz, width of the Gaussians where only frequencies on a mesh are known
_WIDTH = 0.12

Arrays = Mapping[str, np.ndarray]


def equation_of_state(result: Mapping[str, Any], volumes: list[float]) -> dict[str, Any] | None:
    """Curve and points in meV/atom above the minimum; None where the result has no fit.

    Parameters
    ----------
    result
        Of ``eos``; of a reference without the points, or without their curvature's derivative.
    volumes
        Å³/atom; over their range the curve is drawn.
    """
    needed = ("v0_per_atom", "b0", "b0_prime")
    if not volumes or any(not isinstance(result.get(name), int | float) for name in needed):
        return None
    v0, b0, b0_prime = (float(result[name]) for name in needed)
    fit = EquationOfState(v0=v0, e0=0.0, b0=b0, b0_prime=b0_prime, residual=0.0)
    margin = _MARGIN * (max(volumes) - min(volumes))
    fine = np.linspace(min(volumes) - margin, max(volumes) + margin, _FINE)
    e0 = result.get("e0_per_atom")
    points = result.get("volumes") or []
    known = e0 is not None and len(points) == len(result.get("energies") or ())
    return {
        "v0": v0,
        "volumes": fine,
        "energies": 1000.0 * energy(fit, fine),
        "point_volumes": points if known else [],
        "point_energies": [1000.0 * (e - e0) for e in result["energies"]] if known else [],
    }


def bands(arrays: Arrays, like: Arrays | None = None) -> dict[str, Any] | None:
    """Lines of a band structure: per straight line distances and frequencies.

    Parameters
    ----------
    arrays
        Of the blob ``phonon``.
    like
        Those of another one, whose lengths the lines are given, so that both lie over each other.

    Returns
    -------
    dict or None
        ``lines`` (``from``, ``to``, ``x`` in 1/Å, ``y`` (bands, q) in THz). None without bands, or
        where the paths differ.
    """
    if "band_segments" not in arrays:
        return None
    labels = [[str(a), str(b)] for a, b in arrays["band_labels"]]
    ends: list[tuple[float, float]] | None = None
    if like is not None:
        if "band_segments" not in like or labels != [
            [str(a), str(b)] for a, b in like["band_labels"]
        ]:
            return None
        ends = [
            (float(like["band_distances"][a]), float(like["band_distances"][b]))
            for a, b in like["band_segments"]
        ]
    lines = []
    for number, ((first, last), (start, end)) in enumerate(
        zip(arrays["band_segments"], labels, strict=True)
    ):
        piece = slice(int(first), int(last) + 1)
        x = np.array(arrays["band_distances"][piece], dtype=float)
        if ends is not None and x[-1] > x[0]:
            begin, stop = ends[number]
            x = begin + (x - x[0]) * (stop - begin) / (x[-1] - x[0])
        y = np.round(np.array(arrays["band_frequencies"][piece]).T, 4)
        lines.append({"from": start, "to": end, "x": np.round(x, 6), "y": y})
    return {"lines": lines}


def density(arrays: Arrays) -> dict[str, Any] | None:
    """Density of states in 1/THz per atom, from the blob's own or from frequencies on a mesh."""
    if "total_dos" in arrays:
        n_atoms = len(arrays["projected_dos"]) if "projected_dos" in arrays else None
        n_atoms = n_atoms or len(arrays.get("primitive_numbers", ())) or 1
        return {
            "x": np.round(arrays["frequency_points"], 4),
            "y": np.round(np.array(arrays["total_dos"]) / n_atoms, 5),
        }
    if "mesh_frequencies" not in arrays:
        return None
    found = np.array(arrays["mesh_frequencies"], dtype=float)
    weights = np.array(arrays.get("mesh_weights", np.ones(len(found))), dtype=float)
    share = np.repeat(weights / weights.sum(), found.shape[1]) * 3.0 / found.shape[1]
    points = np.linspace(found.min() - 4 * _WIDTH, found.max() + 4 * _WIDTH, 241)
    away = (points[:, None] - found.ravel()[None, :]) / _WIDTH
    gauss = np.exp(-0.5 * away**2) / (_WIDTH * np.sqrt(2.0 * np.pi))
    return {"x": np.round(points, 4), "y": np.round(gauss @ share, 5)}


def phonons(ours: Arrays, theirs: Mapping[str, Arrays]) -> dict[str, Any]:
    """Bands and densities of states of a record, with those of references over them.

    Parameters
    ----------
    ours
        Of the record.
    theirs
        Name of a reference → its arrays.
    """
    found: dict[str, Any] = {"bands": bands(ours), "dos": density(ours), "beside": []}
    for name, arrays in theirs.items():
        try:
            one = {"name": name, "bands": bands(arrays, ours), "dos": density(arrays)}
        except SYMPTOMS:  # arrays of a source that are not what ours are: nothing is drawn of them
            continue
        found["beside"].append(one)
    return found
