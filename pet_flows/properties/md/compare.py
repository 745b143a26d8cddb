"""Molecular dynamics beside ab-initio trajectories: structure, vibrations, averages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pet_flows.crystallography.lattice import reduced
from pet_flows.properties.comparison import NotComparable, Side, Value, distance, number
from pet_flows.properties.md.structure import RadialDistribution

#: relative; runs whose mean temperatures differ by more are not of one state
SAME_TEMPERATURE = 0.1
#: averages of the result that are compared
AVERAGES = {"pressure": "GPa", "volume_per_atom": "Å³", "potential_energy_per_atom": "eV"}

Arrays = Mapping[str, np.ndarray]


def values(ours: Side, theirs: Side) -> list[Value]:
    """Compare two runs of one material at one temperature.

    ``rdf``, ∫ |g − g'| dr / ∫ |g' − 1| dr of all pairs together, at most 1, as in
    matbench-discovery: 0 is the same structure, 1 as far from it as an ideal gas; ``rdf_A-B`` the
    same of each pair of elements. ``vdos_w1_A``, Wasserstein's distance of the vibrational
    spectra of an element. Means of pressure, volume and energy, diffusion coefficients. Two runs
    part after their first frames: errors of forces are those of the potential on DFT's frames
    (:func:`pet_flows.compare.frames.evaluate_frames`).

    Raises
    ------
    NotComparable
        Mean temperatures differ by more than 10 %.
    """
    _refuse_temperature(ours.result, theirs.result)
    found: list[Value | None] = []
    for name, unit in AVERAGES.items():
        found.append(number(name, unit, _mean(ours.result, name), _mean(theirs.result, name)))
    pet, dft = (side.result.get("diffusion") or {} for side in (ours, theirs))
    for element in sorted(pet.keys() & dft.keys()):
        found.append(number(f"diffusion_{element}", "cm²/s", pet[element], dft[element]))
    found += _structure(ours, theirs)
    found += _vibrations(_arrays(ours, "observables"), _arrays(theirs, "observables"))
    return [value for value in found if value]


def _arrays(side: Side, name: str) -> Arrays:
    try:
        return side.arrays(name)
    except KeyError:
        return {}


def _mean(result: Mapping[str, Any], name: str) -> Any:
    return (result.get(name) or {}).get("mean")


def _refuse_temperature(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    pet, dft = _mean(ours, "temperature"), _mean(theirs, "temperature")
    if pet is not None and dft is not None and abs(pet - dft) > SAME_TEMPERATURE * dft:
        raise NotComparable(f"ours is at {pet:.0f} K and DFT at {dft:.0f} K")


def _structure(ours: Side, theirs: Side) -> list[Value]:
    """Differences of pair distribution functions, each pair's and that of all together."""
    mine = _arrays(ours, "observables")
    if "rdf" not in mine:
        return []
    r = mine["rdf_r"]
    other, longest = _pairs(theirs, r)
    if other is None:
        return []
    own = {
        tuple(sorted(map(str, pair))): g
        for pair, g in zip(mine["rdf_pairs"], mine["rdf"], strict=True)
    }
    if own.keys() != other.keys():
        return []
    amounts = ours.structure.composition.element_composition.fractional_composition
    shares = {
        pair: (1 if pair[0] == pair[1] else 2) * amounts[pair[0]] * amounts[pair[1]] for pair in own
    }
    inside = r <= longest
    total = [
        np.sum([shares[pair] * some[pair][inside] for pair in own], axis=0) for some in (own, other)
    ]
    found = [distance("rdf", "", rdf_error(r[inside], total[0], total[1]))]
    if len(own) > 1:
        for pair in own:
            error = rdf_error(r[inside], own[pair][inside], other[pair][inside])
            found.append(distance(f"rdf_{'-'.join(pair)}", "", error))
    return found


def rdf_error(r: np.ndarray, ours: np.ndarray, theirs: np.ndarray) -> float:
    """∫ |g − g'| dr / ∫ |g' − 1| dr, at most 1, of pair distribution functions on one grid."""
    structure = float(np.trapezoid(np.abs(theirs - 1), r))
    apart = float(np.trapezoid(np.abs(ours - theirs), r))
    return min(1.0, apart / structure) if structure else 1.0


def _pairs(side: Side, r: np.ndarray) -> tuple[dict[tuple[str, ...], np.ndarray] | None, float]:
    """Pair distribution functions of a reference on our grid, and up to which distance, in Å."""
    observed = _arrays(side, "observables")
    if "rdf" in observed:
        own = observed["rdf_r"]
        found = {
            tuple(sorted(map(str, pair))): np.interp(r, own, g)
            for pair, g in zip(observed["rdf_pairs"], observed["rdf"], strict=True)
        }
        return found, float(own[-1])
    frames = _arrays(side, "trajectory")
    if not {"positions", "cell", "numbers"} <= frames.keys():
        return None, 0.0
    from ase.data import chemical_symbols

    kinds = np.unique(frames["numbers"])
    species = (frames["numbers"] == kinds[:, None]).astype(float)
    step = float(r[1] - r[0])
    pairs = RadialDistribution(species, float(r[-1]) + step / 2)
    pairs.add(frames["positions"], frames["cell"])
    own, functions = pairs.result()
    symbols = [chemical_symbols[z] for z in kinds]
    found = {
        tuple(sorted((symbols[a], symbols[b]))): np.interp(r, own, g)
        for (a, b), g in zip(pairs.pairs, functions, strict=True)
    }
    # farther than this atoms meet their own images, which in a larger cell they do not
    half = min(float(np.linalg.norm(reduced(cell)[0])) for cell in frames["cell"]) / 2
    return found, half


def _vibrations(mine: Arrays, yours: Arrays) -> list[Value]:
    if not all({"vdos", "vdos_frequency", "elements"} <= arrays.keys() for arrays in (mine, yours)):
        return []
    from scipy.stats import wasserstein_distance

    spectra = [
        {
            str(element): np.maximum(density, 0.0)
            for element, density in zip(a["elements"], a["vdos"], strict=True)
        }
        for a in (mine, yours)
    ]
    found = []
    for element in sorted(spectra[0].keys() & spectra[1].keys()):
        apart = wasserstein_distance(
            mine["vdos_frequency"], yours["vdos_frequency"], spectra[0][element],
            spectra[1][element],
        )  # fmt: skip
        found.append(distance(f"vdos_w1_{element}", "THz", float(apart)))
    return found
