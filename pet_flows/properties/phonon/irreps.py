"""Irreducible representations of modes at a q-point, by the little group's characters."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from phonopy.harmonic.dynamical_matrix import DynamicalMatrix
from phonopy.phonon.irreps import IrRepLabels
from phonopy.phonon.symmetry_adapted_modes import SymmetryAdaptedModes

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.standard import StandardCell, point_group, standard_cell

#: THz; modes of a mesh belong to the symmetry-adapted mode nearer than this
_SAME_FREQUENCY = 1e-3
#: parts of reciprocal vectors within which an operation may leave a q-point where it is
_SAME_Q = 1e-4
#: Å; of cells that have been made exact
_EXACT = 1e-5


def label(
    dynamics: DynamicalMatrix,
    group: SpaceGroup,
    modes: list[dict[str, Any]],
    standard: StandardCell | None = None,
) -> None:
    """Fill in the ``irrep`` of modes, each with ``q`` and ``frequency`` (THz).

    The names are Mulliken's: at Γ of the crystal's point group, elsewhere of the little co-group,
    where the small representations are its own times a phase (always inside the zone, and on its
    surface if no glide or screw interferes; C. Bradley and A. Cracknell, The Mathematical Theory
    of Symmetry in Solids, 1972, §3.8). None where they are not, or where phonopy's tables have no
    name.

    Parameters
    ----------
    dynamics
        phonopy's dynamical matrix.
    group
        Of its primitive cell.
    modes
        As :meth:`.modes.MeshModes.imaginary` lists them; changed in place.
    standard
        The conventional cell in terms of the primitive one, sought where it is not given.
    """
    known: dict[tuple[float, ...], list[tuple[float, str | None]]] = {}
    for mode in modes:
        q = tuple(mode["q"])
        if q not in known:
            try:
                known[q] = _labels(dynamics, group, np.array(q), standard)
            except (AssertionError, ArithmeticError, LookupError, RuntimeError, ValueError):
                known[q] = []  # not in the tables; a missing name must not cost the result
        close = [name for f, name in known[q] if abs(f - mode["frequency"]) < _SAME_FREQUENCY]
        names = [name for name in close if name is not None]
        mode["irrep"] = "+".join(sorted(names)) if names and len(names) == len(close) else None


def _labels(
    dynamics: DynamicalMatrix, group: SpaceGroup, q: np.ndarray, standard: StandardCell | None
) -> list[tuple[float, str | None]]:
    """Frequency (THz) and name of each set of degenerate modes at q."""
    modes = SymmetryAdaptedModes(dynamics, q, _little_group(group, q))
    operations = [o for o in modes.operations if not o.is_antiunitary]
    rotations = np.array([o.rotation for o in operations])
    translations = np.array([o.translation for o in operations])
    if not _is_ordinary(q, rotations, translations):
        return []
    characters = modes.characters * np.exp(2j * np.pi * translations @ q)
    if np.abs(q).max() < 1e-9:
        if standard is None:
            cell = dynamics.primitive
            standard = standard_cell(cell.cell, cell.scaled_positions, cell.numbers, _EXACT)
        if standard is None:
            return []
        symbol, basis = point_group(rotations.transpose(0, 2, 1))[0], standard.basis
    else:
        symbol, basis = point_group(rotations.transpose(0, 2, 1))  # phonopy's are of columns
    conventional = np.linalg.inv(basis.T)
    matrices = np.rint(conventional @ rotations @ np.linalg.inv(conventional)).astype(int)
    names = IrRepLabels(characters, matrices, symbol, False).irrep_labels or []
    lowest = [modes.frequencies[bands[0]] for bands in modes.degenerate_sets]
    return list(zip(map(float, lowest), names, strict=True))


def _little_group(group: SpaceGroup, q: np.ndarray) -> Any:
    """The operations that take q to itself or to -q, as phonopy asks its ``Symmetry`` for them.

    Of each it looks for the permutation of the atoms, which takes long for the whole group.
    """
    rotations, translations = group.columns
    moved = q @ np.linalg.inv(rotations)
    apart = np.stack([moved - q, moved + q])
    kept = (np.abs(apart - np.rint(apart)) < _SAME_Q).all(2).any(0)
    operations = {"rotations": rotations[kept], "translations": translations[kept]}
    return SimpleNamespace(symmetry_operations=operations, tolerance=_EXACT)


def _is_ordinary(q: np.ndarray, rotations: np.ndarray, translations: np.ndarray) -> bool:
    """Whether the phases exp(-2πi g·t) between operations, g = q R⁻¹ - q, are all one."""
    shifts = np.rint(q @ np.linalg.inv(rotations) - q)
    phases = shifts @ translations.T
    return bool(np.abs(phases - np.rint(phases)).max() < 1e-4)
