"""Axes of a crystal after the IEEE standard 176-1987, however its cell is written down.

The standard names axes by lattice vectors. Where a lattice has more symmetry than its crystal, or
two lengths are equal, several frames obey it, and which of them a description suggests is chance:
all are listed here, and the tensor itself says which one it is written in.

(pymatgen's rotation is not that of the standard: x is along c in tetragonal crystals with c < a,
and two equal lengths in a triclinic or orthorhombic one are an error.)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import numpy as np

from pet_flows.crystallography.group import SpaceGroup
from pet_flows.crystallography.lattice import reduced
from pet_flows.properties.elastic.tensor import WEIGHTS, mandel_rotations

#: lengths that differ by less than this, relatively, are equal, and angles whose cosine is less
#: are right ones: relaxations that end at fmax leave some 1e-5
EQUAL = 1e-3
#: entries of two tensors that differ by less than this, of the largest one, are equal; the second
#: decides where the first leaves a choice
ALIKE = (1e-2, 1e-6)
#: Voigt's indices in the order in which they decide: first those whose signs depend on the axes
DECIDING = (
    (1, 4), (1, 5), (1, 6), (2, 4), (2, 5), (2, 6), (3, 4), (3, 5), (3, 6), (4, 5), (4, 6), (5, 6),
    (3, 3), (1, 1), (2, 2), (4, 4), (5, 5), (6, 6), (1, 2), (1, 3), (2, 3),
)  # fmt: skip

_GRID = np.array([f for f in itertools.product(range(-3, 4), repeat=3) if any(f)])
#: trace of a proper operation → its order
_ORDER = {-1: 2, 0: 3, 1: 4, 2: 6}


def ieee_frames(group: SpaceGroup, cell: np.ndarray) -> np.ndarray:
    """All axes of a crystal that obey the standard.

    z is along c and x along a, the conventional axes of cubic, hexagonal, trigonal (obverse, where
    the lattice is rhombohedral) and tetragonal crystals; orthorhombic axes are named so that
    c < a < b; monoclinic ones have y along the unique axis and c < a, the two shortest vectors
    normal to it, at an obtuse angle β; in triclinic ones c < a < b are the three shortest, α and β
    obtuse. z is along c, x in the plane of a and c on the side of a.

    Parameters
    ----------
    group
        Of the crystal.
    cell
        ``(3, 3)`` Å, rows.

    Returns
    -------
    numpy.ndarray
        ``(k, 3, 3)``, right-handed, x, y, z in the rows.
    """
    lattice = group.primitive.basis @ cell
    basis = reduced(lattice)
    change = np.rint(basis @ np.linalg.inv(lattice))
    rotations = np.rint(change @ group.rotations @ np.linalg.inv(change))
    proper = rotations * np.rint(np.linalg.det(rotations))[:, None, None]
    if group.number >= 195:
        pairs = _cubic(proper, basis)
    elif group.number >= 75:
        pairs = _uniaxial(proper, basis)
    elif group.number >= 16:
        pairs = _orthorhombic(proper, basis)
    elif group.number >= 3:
        pairs = _monoclinic(proper, basis)
    else:
        pairs = _triclinic(basis)
    return _frames(np.array(pairs))


def in_ieee_axes(tensor: np.ndarray, frames: np.ndarray) -> np.ndarray:
    """An elastic tensor in that of the frames ``(k, 3, 3)`` in which its entries are largest.

    The first entry of :data:`DECIDING` that tells two of them apart counts: of two frames that
    differ by a sign of C14 the one is taken where it is positive.

    Parameters
    ----------
    tensor
        ``(6, 6)``, Mandel.

    Returns
    -------
    numpy.ndarray
        ``(6, 6)``, Mandel.
    """
    # rows of a frame are where x, y, z of the standard point: t_ieee = frame t frameᵀ
    rotations = mandel_rotations(frames.transpose(0, 2, 1))
    found = rotations @ tensor @ rotations.transpose(0, 2, 1)
    entries = found / np.outer(WEIGHTS, WEIGHTS)
    scale = np.abs(entries).max()
    left = np.arange(len(frames))
    for alike, (i, j) in itertools.product(ALIKE, DECIDING):
        values = entries[left, i - 1, j - 1]
        left = left[values >= values.max() - alike * scale]
    return np.asarray(found[left[0]])


def _frames(pairs: np.ndarray) -> np.ndarray:
    """Frames ``(k, 3, 3)`` from vectors a and c ``(k, 2, 3)``: z along c, x normal to it, by a."""
    x, z = pairs[:, 0], pairs[:, 1] / np.linalg.norm(pairs[:, 1], axis=1, keepdims=True)
    x = x - (x * z).sum(1, keepdims=True) * z
    x = x / np.linalg.norm(x, axis=1, keepdims=True)
    return np.stack([x, np.cross(z, x), z], axis=1)


def _axes(proper: np.ndarray, order: int) -> np.ndarray:
    """``(k, 3)`` int, shortest lattice vectors along the axes of rotations of an order."""
    found = set()
    for rotation in proper:
        if _ORDER.get(round(float(np.trace(rotation)))) == order:
            along = _along(rotation, order)
            row = along[np.abs(along).sum(1).argmax()]
            row = row // np.gcd.reduce(row)
            found.add(tuple((row * np.sign(row[np.nonzero(row)[0][0]])).tolist()))
    return np.array(sorted(found), dtype=int).reshape(-1, 3)


def _along(rotation: np.ndarray, order: int) -> np.ndarray:
    """``(3, 3)`` int, a multiple of the projector onto a rotation's axis: the sum of its powers."""
    powers = sum(np.linalg.matrix_power(rotation, n) for n in range(order))
    return np.rint(powers).astype(int)


def _normal_to(proper: np.ndarray, order: int) -> np.ndarray:
    """Lattice vectors ``(k, 3)`` int normal to the axis of the first rotation of an order."""
    rotation = next(p for p in proper if _ORDER.get(round(float(np.trace(p)))) == order)
    return _GRID[(_GRID @ _along(rotation, order) == 0).all(1)]


def _shortest(vectors: np.ndarray) -> np.ndarray:
    """Those of vectors ``(k, 3)`` Å that are as short as the shortest."""
    lengths = np.linalg.norm(vectors, axis=1)
    return vectors[lengths <= lengths.min() * (1 + EQUAL)]


def _cubic(proper: np.ndarray, basis: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    axes = _axes(proper, 4)
    if not len(axes):
        axes = _axes(proper, 2)
    return _signed(itertools.permutations(axes @ basis, 2))


def _uniaxial(proper: np.ndarray, basis: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    order = 3 if len(_axes(proper, 3)) else 4
    c = _axes(proper, order)[0] @ basis
    pairs = [(a, s * c) for a in _shortest(_normal_to(proper, order) @ basis) for s in (1, -1)]
    if order == 4:
        return pairs
    # of a rhombohedral lattice (2a + b + c)/3 is a vector, b being 120° from a
    obverse = [(a, z) for a, z in pairs if _is_vector((2 * a + _third(a, z) + z) / 3, basis)]
    return obverse or pairs


def _third(a: np.ndarray, z: np.ndarray) -> np.ndarray:
    """The vector a, normal to z, rotated about it by 120°."""
    return np.asarray(-0.5 * a + np.sqrt(0.75) * np.cross(z / np.linalg.norm(z), a))


def _is_vector(vector: np.ndarray, basis: np.ndarray) -> bool:
    """Whether it is one of the lattice; the others are a third of one away."""
    fractions = vector @ np.linalg.inv(basis)
    return bool(np.abs(fractions - np.rint(fractions)).max() < 0.1)


def _orthorhombic(proper: np.ndarray, basis: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    pairs = []
    for c, a, b in itertools.permutations(_axes(proper, 2) @ basis):
        lengths = np.linalg.norm([c, a, b], axis=1)
        if (lengths[:-1] <= lengths[1:] * (1 + EQUAL)).all():
            pairs.append((a, c))
    return _signed(pairs)


def _signed(pairs: Iterable[tuple[np.ndarray, ...]]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pairs of vectors with all their signs."""
    return [(s * a, t * c) for a, c in pairs for s in (1, -1) for t in (1, -1)]


def _monoclinic(proper: np.ndarray, basis: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    plane = _normal_to(proper, 2) @ basis
    return [
        (a, c)
        for c in _shortest(plane)
        for a in _shortest(_independent(plane, c))
        if _cosine(a, c) <= EQUAL
    ]


def _triclinic(basis: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    every = _GRID @ basis
    return [
        (a, c)
        for c in _shortest(every)
        for a in _shortest(_independent(every, c))
        if _cosine(a, c) <= EQUAL
        and any(
            _cosine(b, c) <= EQUAL and b @ np.cross(c, a) > 0
            for b in _shortest(_independent(every, c, a))
        )
    ]


def _independent(vectors: np.ndarray, *of: np.ndarray) -> np.ndarray:
    """Those of vectors ``(k, 3)`` that are no combination of one or two others."""
    if len(of) == 1:
        apart = np.linalg.norm(np.cross(vectors, of[0]), axis=1)
    else:
        apart = np.abs(vectors @ np.cross(of[0], of[1]))
    return vectors[apart > 1e-6]


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
