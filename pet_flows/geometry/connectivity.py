"""In how many directions matter is connected: crystal, slab, chain or molecule in its cell."""

from __future__ import annotations

from math import prod

import numpy as np
from ase import Atoms

from pet_flows.errors import StructureError
from pet_flows.geometry.faces import lengths_of, volume_of
from pet_flows.geometry.neighbours import find_neighbours
from pet_flows.geometry.ragged import rows_of, starts_of

#: volume over the product of the vectors' lengths, above which they are independent beyond doubt
UPRIGHT = 1e-3


def periodic_rank(atoms: Atoms, cutoff: float) -> int:
    """Directions along which atoms closer than ``cutoff`` (Å) are linked without end.

    Returns
    -------
    int
        3 for a crystal, 2 for a slab in vacuum, 1 for a chain, 0 for molecules in a box: the
        largest over the connected pieces.
    """
    # of a small cell each atom is linked to its own images
    cell = atoms.cell.array
    lengths = lengths_of(cell)
    if max(lengths) < cutoff:
        return 3 if abs(volume_of(cell)) > UPRIGHT * prod(lengths) else _rank(cell)
    every = np.ones(3, dtype=bool)
    i, j, shift, _ = find_neighbours(atoms.positions, cell, every, cutoff)
    if not len(i):
        return 0
    if _rank(shift[i == j]) == 3:
        return 3
    piece, offset = _pieces(len(atoms), i, j, shift)
    loops = offset[i] + shift - offset[j]
    return max(_rank(loops[piece[i] == each]) for each in np.unique(piece[i]))


def _pieces(
    n: int, first: np.ndarray, second: np.ndarray, shifts: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which piece each atom is of ``(n,)`` int, and the cell ``(n, 3)`` where it is joined to it.

    Pairs are in both directions; each piece grows from its first atom, one bond at a time.
    """
    piece, offset = np.full(n, -1), np.zeros((n, 3), dtype=int)
    order = np.argsort(first, kind="stable")
    second, shifts = second[order], shifts[order]
    counts = np.bincount(first, minlength=n)
    begin = starts_of(counts)
    for root in range(n):
        if piece[root] >= 0:
            continue
        piece[root] = root
        grown = np.array([root])
        while len(grown):
            bonds = rows_of(begin[grown], counts[grown])
            above = np.repeat(grown, counts[grown])
            new = piece[second[bonds]] < 0
            grown, one = np.unique(second[bonds][new], return_index=True)
            piece[grown] = root
            offset[grown] = offset[above[new][one]] + shifts[bonds[new][one]]
    return piece, offset


def refuse_vacuum(atoms: Atoms, cutoff: float, what: str, instead: str = "") -> None:
    """Refuse what does not fill its cell: what is told per volume would be told of the vacuum.

    Parameters
    ----------
    cutoff
        Å, of the model.
    what
        Beginning of the sentence: what it is that needs a volume.
    instead
        End of it: what to do with slabs and molecules.

    Raises
    ------
    StructureError
        ``no_volume``.
    """
    if not (atoms.pbc.all() and periodic_rank(atoms, cutoff) == 3):
        raise StructureError(
            "no_volume",
            f"{what} needs a crystal or a liquid that fills its cell along all three axes, but "
            f"atoms closer than {cutoff:g} Å are not linked along all of them: "
            f"{instead or 'leave this property out'}.",
        )


def _rank(vectors: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(vectors.T @ vectors))
