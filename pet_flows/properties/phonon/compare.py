"""Phonons beside those of DFT, on one mesh of q-points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from ase import Atoms
from phonopy import Phonopy

from pet_flows.crystallography.alignment import PrimitiveCell, align
from pet_flows.crystallography.group import SpaceGroup
from pet_flows.errors import PetFlowsError, StructureError
from pet_flows.properties.comparison import NotComparable, Side, Value, distance, number
from pet_flows.properties.phonon.mesh import EXACT
from pet_flows.properties.phonon.modes import mesh_modes
from pet_flows.properties.phonon.phonopy_yaml import to_phonopy
from pet_flows.properties.phonon.spectrum import Spectrum
from pet_flows.properties.property import ROOM_TEMPERATURE

Arrays = Mapping[str, np.ndarray]

#: THz; a crystal with a mode below is unstable, whatever tolerance a record was made with. The
#: limit of ml-peg's benchmark of phonons
STABLE = -0.05
#: Å; q-mesh of a cell that has its own
MESH_LENGTH = 60.0
#: units of thermal properties at room temperature, per atom
THERMAL = {"cv": "J/K/mol", "s": "J/K/mol", "f": "kJ/mol"}


def values(ours: Side, theirs: Side) -> list[Value]:
    """Compare spectra, stability and thermal properties at 300 K.

    ``spectrum_w1``, the distance of the two densities of states; largest, mean and smallest
    frequency, translations aside; ``stable``; where both are, heat capacity, entropy and free
    energy at 300 K. Where both have force constants of primitive cells that lie on each other,
    all modes are taken at the same q-points, and ``frequencies_mae`` and ``frequencies_largest``
    compare them one by one, sorted at each q; else each is on its own Γ-centred mesh. Of what has
    no frequencies its single numbers are compared.

    ``nac`` says whether the numbers hold a non-analytical correction: both of them or neither.
    Where one of two sets of force constants comes without, both are taken without.

    Raises
    ------
    NotComparable
        One has a correction, the other not, and it cannot be taken out.
    """
    mine, yours = _blob(ours), _blob(theirs)
    with_nac = _correction(ours, theirs, mine, yours)
    pair = _spectra(ours, mine, yours, with_nac)
    found: list[Value | None] = [Value("nac", "", with_nac, with_nac, None)]
    if pair is None:
        numbers = [_summary(ours.result, None), _summary(theirs.result, None)]
    else:
        found.append(distance("spectrum_w1", "THz", pair.ours.distance(pair.theirs)))
        numbers = [_summary({}, pair.ours), _summary({}, pair.theirs)]
    for name, unit in {**dict.fromkeys(_FREQUENCIES, "THz"), **_THERMAL}.items():
        if name not in _THERMAL or all(n["stable"] is not False for n in numbers):
            found.append(number(name, unit, *(n.get(name) for n in numbers)))
    stable = [n["stable"] for n in numbers]
    if None not in stable:
        found.append(Value("stable", "", stable[0], stable[1], None))
    if pair is not None and pair.alike:
        wrong = np.sort(pair.ours.frequencies) - np.sort(pair.theirs.frequencies)
        mean = float((np.abs(wrong) * pair.ours.shares).sum())
        found.append(distance("frequencies_mae", "THz", mean))
        found.append(distance("frequencies_largest", "THz", float(np.abs(wrong).max())))
    return [value for value in found if value]


_FREQUENCIES = ("max_frequency", "mean_frequency", "min_frequency")
_THERMAL = {f"{name}_300K": unit for name, unit in THERMAL.items()}


@dataclass(frozen=True)
class _Pair:
    ours: Spectrum
    theirs: Spectrum
    alike: bool
    """whether mode for mode at the same q-points"""


def _blob(side: Side) -> Arrays:
    try:
        return side.arrays("phonon")
    except KeyError:
        return {}


def _correction(ours: Side, theirs: Side, mine: Arrays, yours: Arrays) -> bool:
    """Whether both are taken with a non-analytical correction."""
    pet, dft = _has_nac(ours, mine), _has_nac(theirs, yours)
    if pet is dft or (dft is None and not pet):
        return bool(pet)
    if "force_constants" in mine and "force_constants" in yours:
        return False
    said = "is not known to have one" if dft is None else "has one" if dft else "has none"
    raise NotComparable(
        f"ours {'has' if pet else 'has not'} a non-analytical correction, and DFT {said}"
    )


def _has_nac(side: Side, arrays: Arrays) -> bool | None:
    said = side.result.get("has_nac")
    if said is None and "force_constants" in arrays:
        return "born_charges" in arrays
    return None if said is None else bool(said)


def _spectra(ours: Side, mine: Arrays, yours: Arrays, with_nac: bool) -> _Pair | None:
    """Both spectra, at the same q-points where that is possible; None where one has none."""
    own = Spectrum.of_arrays(mine)
    other = Spectrum.of_arrays(yours)
    if own is None:
        return None
    qpoints, weights = mine["mesh_qpoints"], mine["mesh_weights"]
    if with_nac is not _has_nac(ours, mine):
        own = Spectrum.of(_frequencies(_phonopy(mine, with_nac), qpoints), weights, qpoints)
    if "force_constants" not in yours:
        return None if other is None else _Pair(own, other, False)
    phonopy = _phonopy(yours, with_nac)
    theirs = _corresponding(mine, yours, qpoints)
    if theirs is None:
        length = float(ours.settings.get("mesh_length") or MESH_LENGTH)
        return _Pair(own, _on_own_mesh(phonopy, length), False)
    return _Pair(own, Spectrum.of(_frequencies(phonopy, theirs), weights, qpoints), True)


def _phonopy(arrays: Arrays, with_nac: bool) -> Phonopy:
    kept = {n: a for n, a in arrays.items() if with_nac or n not in ("born_charges", "dielectric")}
    try:
        return to_phonopy(kept)
    except PetFlowsError as error:
        raise NotComparable(f"force constants cannot be used: {error}") from error


def _frequencies(phonopy: Phonopy, qpoints: np.ndarray) -> np.ndarray:
    """``(q, 3n)`` THz."""
    phonopy.run_qpoints(qpoints)
    assert phonopy.qpoints is not None
    return np.array(phonopy.qpoints.frequencies)


def _corresponding(mine: Arrays, yours: Arrays, qpoints: np.ndarray) -> np.ndarray | None:
    """Our q-points ``(q, 3)`` in the other's reciprocal vectors.

    None where the cells do not lie on each other or have two space groups, so that the points that
    stand for the zone of one do not for the other's.
    """
    atoms = [_primitive(arrays) for arrays in (mine, yours)]
    try:
        groups = [SpaceGroup.find(a) for a in atoms]
    except StructureError:
        return None
    if groups[0].number != groups[1].number:
        return None
    pet, dft = (
        PrimitiveCell(a.numbers, a.cell.array, a.positions, np.arange(len(a))) for a in atoms
    )
    laid = align(dft, pet)
    # q'ᵢ = q · a'ᵢ of the vectors a' = basis @ a
    return None if laid is None else qpoints @ np.linalg.inv(laid.basis).T


def _primitive(arrays: Arrays) -> Atoms:
    return Atoms(
        numbers=arrays["primitive_numbers"],
        positions=arrays["primitive_positions"],
        cell=arrays["primitive_cell"],
        pbc=True,
    )


def _on_own_mesh(phonopy: Phonopy, length: float) -> Spectrum:
    cell = phonopy.primitive
    atoms = Atoms(numbers=cell.numbers, positions=cell.positions, cell=cell.cell, pbc=True)
    assert phonopy.dynamical_matrix is not None
    modes = mesh_modes(phonopy.dynamical_matrix, SpaceGroup.find(atoms, EXACT), length)
    return Spectrum(modes.frequencies, modes.weights, modes.acoustic)


def _summary(result: Mapping[str, Any], spectrum: Spectrum | None) -> dict[str, Any]:
    """Single numbers of one side, from its frequencies or from what its result says."""
    if spectrum is None:
        found = {name: result.get(name) for name in _FREQUENCIES}
        at = [p for p in result.get("thermal") or () if abs(p["T"] - ROOM_TEMPERATURE) < 0.5]
        thermal: Mapping[str, Any] = at[0] if at else {}
    else:
        lowest, highest = spectrum.range
        found = dict(zip(_FREQUENCIES, (highest, spectrum.mean, lowest), strict=True))
        thermal = spectrum.thermal(ROOM_TEMPERATURE)
    found |= {f"{name}_300K": thermal.get(name) for name in THERMAL}
    lowest = found["min_frequency"]
    return {**found, "stable": None if lowest is None else bool(lowest >= STABLE)}
