"""In how many directions matter is connected: crystal, slab, chain or molecule in its cell."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import breadth_first_order, connected_components

from pet_flows.errors import StructureError
from pet_flows.geometry.neighbours import find_neighbours


def periodic_rank(atoms: Atoms, cutoff: float) -> int:
    """Directions along which atoms closer than ``cutoff`` (Å) are linked without end.

    Returns
    -------
    int
        3 for a crystal, 2 for a slab in vacuum, 1 for a chain, 0 for molecules in a box: the
        largest over the connected pieces.
    """
    # of a small cell each atom is linked to its own images
    if (np.einsum("ia,ia->i", atoms.cell.array, atoms.cell.array) < cutoff**2).all():
        return _rank(atoms.cell.array)
    every = np.ones(3, dtype=bool)
    i, j, shift, _ = find_neighbours(atoms.positions, atoms.cell.array, every, cutoff)
    if not len(i):
        return 0
    if _rank(shift[i == j]) == 3:
        return 3
    n = len(atoms)
    graph = coo_matrix((np.ones(len(i)), (i, j)), shape=(n, n)).tocsr()
    first = {(a, b): s for a, b, s in zip(i.tolist(), j.tolist(), shift, strict=True)}
    offset = np.zeros((n, 3), dtype=int)
    pieces, label = connected_components(graph, directed=False)
    for piece in range(pieces):
        root = int(np.nonzero(label == piece)[0][0])
        order, parent = breadth_first_order(graph, root, directed=False)
        for atom in order[1:].tolist():
            above = int(parent[atom])
            offset[atom] = offset[above] + first[above, atom]
    loops = offset[i] + shift - offset[j]
    return max(_rank(loops[label[i] == piece]) for piece in np.unique(label[i]))


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
