"""Thermal conductivities beside those of DFT, by the metrics of B. Póta et al."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from ase.units import _hplanck, _k

from pet_flows.crystallography.alignment import group_and_order
from pet_flows.properties.comparison import NotComparable, Side, Value, distance, number
from pet_flows.properties.phonon.compare import STABLE
from pet_flows.properties.property import ROOM_TEMPERATURE

#: of a crystal that is unstable or no longer has its symmetry, and the largest there is
WORST = 2.0
#: Å, at which space groups must agree
SYMPREC = 1e-2
#: by how much the modes may miss the conductivity that they add up to, relatively
ADDS_UP = 0.01


def values(ours: Side, theirs: Side) -> list[Value]:
    """Compare conductivities at 300 K.

    ``kappa_300K`` (a third of the trace), ``sre`` = |2 (κ − κ') / (κ + κ')| and, where both have
    their modes at the same q-points, ``srme`` = 2 Σ |κ_qs − κ'_qs| / (κ + κ'), whose errors do not
    cancel between modes (B. Póta, P. Ahlawat, G. Csányi, M. Simoncelli, arXiv:2408.00755). Both
    are 2 where ours has imaginary modes or another space group, as in matbench-discovery.

    Raises
    ------
    NotComparable
        Isotopes scatter, or charges are corrected for, on one side only; or neither has a
        conductivity at 300 K.
    """
    _refuse_unlike(ours.result, theirs.result)
    pet, dft = _at_room_temperature(ours.result), _at_room_temperature(theirs.result)
    if dft is None or pet is None:
        which = "DFT" if dft is None else "ours"
        raise NotComparable(f"{which} has no conductivity at {ROOM_TEMPERATURE:g} K")
    found = [number("kappa_300K", "W/m/K", pet, dft)]
    if _unstable(ours.result) or _another_symmetry(ours, theirs):
        found += [distance("sre", "", WORST), distance("srme", "", WORST)]
    else:
        found.append(distance("sre", "", abs(2 * (pet - dft) / (pet + dft))))
        modes = _modes(ours, pet), _modes(theirs, dft)
        if modes[0] is not None and modes[1] is not None and _same_points(ours, theirs):
            apart = float(np.abs(modes[0] - modes[1]).sum())
            found.append(distance("srme", "", 2 * apart / (pet + dft)))
    return [value for value in found if value]


def mode_conductivities(arrays: Mapping[str, np.ndarray], temperature: float) -> np.ndarray | None:
    """A third of the trace of what each mode of the irreducible mesh conducts, with its copies.

    ``w C v² τ / 3 V N`` with ``τ = 1 / 4πγ``; a mode without scattering, a translation at Γ,
    conducts nothing.

    Parameters
    ----------
    arrays
        Blob ``kappa`` of a record.
    temperature
        K, one of its ``temperatures``.

    Returns
    -------
    numpy.ndarray or None
        ``(q, 3n)`` W/m/K, whose sum is the conductivity; None where the temperature is missing.
    """
    at = np.nonzero(np.abs(arrays["temperatures"] - temperature) < 0.5)[0]
    if not len(at):
        return None
    gamma, frequencies = arrays["gamma"][at[0]], arrays["frequencies"]
    gamma = gamma + arrays.get("gamma_isotope", 0.0)
    conducts = (gamma > 0) & (frequencies > 0)
    x = _hplanck * 1e12 * np.where(conducts, frequencies, 1.0) / (_k * temperature)
    heat = _k * x**2 * np.exp(-x) / np.expm1(-x) ** 2
    speed = 1e4 * (arrays["group_velocities"] ** 2).sum(-1)  # Å THz are 100 m/s
    lifetime = 1e-12 / (4 * np.pi * np.where(conducts, gamma, 1.0))
    volume = 1e-30 * abs(np.linalg.det(arrays["primitive_cell"]))
    weights = arrays["weights"] / arrays["weights"].sum()
    each = weights[:, None] * heat * speed * lifetime / (3 * volume)
    return np.where(conducts, each, 0.0)


def _at_room_temperature(result: Mapping[str, Any]) -> float | None:
    for point in result.get("kappa") or ():
        if abs(point["T"] - ROOM_TEMPERATURE) < 0.5:
            return float(point["mean"])
    return None


def _refuse_unlike(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    for name, what in (
        ("isotopes", "isotopes scatter"), ("has_nac", "there is a non-analytical correction"),
    ):  # fmt: skip
        pet, dft = ours.get(name), theirs.get(name)
        if None not in (pet, dft) and bool(pet) != bool(dft):
            raise NotComparable(f"{what} in {'ours' if pet else 'DFT'} only")


def _unstable(result: Mapping[str, Any]) -> bool:
    lowest = result.get("min_frequency")
    return bool(result.get("has_imaginary_modes")) if lowest is None else bool(lowest < STABLE)


def _another_symmetry(ours: Side, theirs: Side) -> bool:
    pet, dft = (group_and_order(side.structure, SYMPREC) for side in (ours, theirs))
    return pet is not None and dft is not None and pet[0] != dft[0]


def _modes(side: Side, total: float) -> np.ndarray | None:
    """What each mode conducts; None where these do not add up to the conductivity.

    They do not where there is tunnelling between modes, or scattering at boundaries.
    """
    try:
        found = mode_conductivities(side.arrays("kappa"), ROOM_TEMPERATURE)
    except KeyError:
        return None
    return found if found is not None and abs(found.sum() / total - 1) < ADDS_UP else None


def _same_points(ours: Side, theirs: Side) -> bool:
    pet, dft = (side.arrays("kappa") for side in (ours, theirs))
    if pet["frequencies"].shape != dft["frequencies"].shape or "qpoints" not in dft:
        return False
    return bool(
        np.abs(pet["qpoints"] - dft["qpoints"]).max() < 1e-6
        and (pet["weights"] == dft["weights"]).all()
    )
