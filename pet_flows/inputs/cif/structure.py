"""The crystal that atoms and symmetry operations make.

Atoms come in the order of pymatgen's CifParser: by composition of their sites, then by rows, then
by operations, and at last by electronegativity.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import numpy as np
from pymatgen.core import Composition, Lattice, Structure

from pet_flows.geometry.closest import OVERLAP
from pet_flows.inputs.cif.operations import Operations
from pet_flows.inputs.cif.sites import Row
from pet_flows.inputs.text import DamagedError

_SAME = 1e-4
"""Fractional; nearer images of one atom are one, nearer atoms share a site."""
_SLACK = 2.0
"""Numbers may be cut off instead of rounded, which doubles what their last digit says."""


def build_structure(lattice: Lattice, rows: Sequence[Row], operations: Operations) -> Structure:
    """Apply the operations to the rows.

    An atom that its table places on a special position with few digits (0.333 for 1/3) is moved
    there, if the images of it would overlap otherwise.

    Parameters
    ----------
    lattice, rows, operations
        Of one block.

    Raises
    ------
    DamagedError
        More than one whole atom is on a site (``overlapping_atoms``).
    """
    places = np.zeros((0, 3))
    occupants: list[Composition] = []
    for row in rows:
        position = _on_special_position(row, operations, lattice)
        contents = Composition({row.species: row.occupancy})
        shared = _near(operations.images(position)[:, None], places[None]).any(axis=0)
        if shared.any():
            occupants[int(shared.argmax())] += contents
        else:
            places = np.vstack([places, position])
            occupants.append(contents)
    species: list[Composition] = []
    positions: list[np.ndarray] = []
    sites = sorted(zip(places, occupants, strict=True), key=lambda site: site[1])
    for contents, group in groupby(sites, key=lambda site: site[1]):
        total = contents.num_atoms
        if total > 1 + 1e-6:
            raise DamagedError(
                "puts more than one whole atom on one site: correct the positions or the "
                "occupancies.",
                "overlapping_atoms",
            )
        found = [image for at, _ in group for image in _distinct(operations.images(at))]
        species += [contents / total if total > 1 else contents] * len(found)
        positions += found
    crystal = Structure(lattice, species, positions)
    return crystal.get_sorted_structure() if species else crystal


def places(
    rows: Sequence[Row], operations: Operations, lattice: Lattice
) -> dict[object, np.ndarray]:
    """Give species → distinct places ``(n, 3)`` of its atoms, however often rows name them."""
    found: dict[object, np.ndarray] = {}
    for row in rows:
        images = _distinct(operations.images(_on_special_position(row, operations, lattice)))
        known = found.get(row.species, np.zeros((0, 3)))
        new = ~_near(images[:, None], known[None], 10 * _SAME).any(axis=1)
        found[row.species] = np.vstack([known, images[new]])
    return found


def _near(positions: np.ndarray, other: np.ndarray, tolerance: float = _SAME) -> np.ndarray:
    """Which positions are one with another, lattice vectors apart: ``(..., 3)`` → ``(...)``."""
    apart = positions - other
    near: np.ndarray = (np.abs(apart - np.round(apart)) < tolerance).all(axis=-1)
    return near


def _distinct(images: np.ndarray) -> np.ndarray:
    """Keep the first of the images that are one."""
    near = _near(images[:, None], images[None])
    kept: list[int] = []
    for n in range(len(images)):
        if not near[n, kept].any():
            kept.append(n)
    return images[kept]


def _on_special_position(row: Row, operations: Operations, lattice: Lattice) -> np.ndarray:
    """Move an atom to the special position that its rounded numbers mean, if they mean one."""
    if not row.rounding.any() or not _overlap(operations.images(row.position), lattice):
        return row.position
    shifts = operations.images(row.position) - row.position
    shifts -= np.round(shifts)
    # an operation that leaves the site where it is may move its rounded numbers by so much
    allowed = np.abs(operations.rotations - np.eye(3)) @ row.rounding
    staying = (np.abs(shifts) <= _SLACK * allowed + _SAME).all(axis=1)
    staying &= np.linalg.norm(shifts @ lattice.matrix, axis=1) < OVERLAP
    position: np.ndarray = row.position + shifts[staying].mean(axis=0)
    moved = np.abs(position - row.position) <= _SLACK * row.rounding + _SAME
    stays = _near(operations.images(position)[staying], position)
    return position if moved.all() and stays.all() else row.position


def _overlap(images: np.ndarray, lattice: Lattice) -> bool:
    """Whether two distinct images are nearer than any two atoms."""
    distinct = _distinct(images)
    first, second = np.triu_indices(len(distinct), 1)
    apart = distinct[first] - distinct[second]
    apart = (apart - np.round(apart)) @ lattice.matrix
    return bool((np.linalg.norm(apart, axis=1) < OVERLAP).any())
